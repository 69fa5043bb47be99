//! `-fw_cfg`: files that the guest can read.

use super::config::{FwCfgContent, FwCfgFile};
use super::error::{Error, Origin, Result};
use super::low::LowArgs;
use super::params::{Group, Param};

/// `-fw_cfg`
pub(crate) static GROUP: Group = Group {
    name: "fw_cfg",
    implied: Some("name"),
    merge: false,
    params: &[
        Param::string("gen_id").help("id of the object that makes the content"),
        Param::string("string").help("the content itself"),
        Param::string("file").help("file with the content"),
        Param::string("name").help("what the guest calls it"),
    ],
};

/// Reads `-fw_cfg`.
pub(crate) fn read(low: &mut LowArgs, text: &str, origin: &Origin) -> Result<()> {
    let params = GROUP.parse(text, origin, &mut low.warnings)?;
    let given = |key| params.string(key).filter(|text| !text.is_empty());
    let contents = [
        given("string").map(FwCfgContent::Text),
        given("file").map(|path| FwCfgContent::File(path.into())),
        given("gen_id").map(FwCfgContent::Object),
    ];
    let mut contents = contents.into_iter().flatten();
    let (Some(name), Some(content), None) = (given("name"), contents.next(), contents.next())
    else {
        let needed = "name, plus exactly one of file, string and gen_id, are needed";
        return Err(Error::new(needed));
    };
    low.fw_cfg.push(FwCfgFile {
        name,
        content,
        origin: origin.clone(),
    });
    Ok(())
}
