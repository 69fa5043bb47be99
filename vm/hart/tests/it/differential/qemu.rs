//! A program in RAM, run here and in QEMU, to be compared by what it leaves there.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tinamou_hart::{Firmware, Isa};

use crate::rig::{Rig, SIZE};

const QEMU: &str = "qemu-system-riscv64";

/// How long QEMU may take: it needs a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the image becomes here.
pub fn run_here(image: &[u8], isa: Isa) -> Vec<u8> {
    let mut rig = Rig::new(isa, Firmware::Guest, 1);
    rig.ram.write(0, image).unwrap();
    rig.run();
    let mut image = vec![0; SIZE as usize];
    rig.ram.read(0, &mut image).unwrap();
    image
}

/// What the image becomes in QEMU. `None`, said aloud, where there is no QEMU.
pub fn run_in_qemu(image: &[u8], cpu: &str) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ram");
    std::fs::write(&path, image).unwrap();
    let backend = "memory-backend-file,id=ram,share=on,mem-path=";
    let backend = format!("{backend}{},size={SIZE}", path.display());
    let child = Command::new(QEMU)
        .args(["-M", "virt,memory-backend=ram", "-bios", "none"])
        .args(["-cpu", cpu, "-smp", "2"])
        .args(["-object", &backend, "-m", &format!("{}M", SIZE >> 20)])
        .args(["-display", "none", "-serial", "none", "-monitor", "none"])
        .stdin(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "{QEMU} is not installed");
        eprintln!("skipped: {QEMU} is not installed");
        return None;
    };
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("a program goes astray in QEMU");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(std::fs::read(path).unwrap())
}
