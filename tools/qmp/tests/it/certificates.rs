//! Certificates of an authority of our own, in the files of QEMU's
//! `tls-creds-x509`; `openssl` makes them.

use std::process::Command;

/// An authority, a server, and clients `ops-one` and `other`.
pub fn make(dir: &str) -> bool {
    let openssl = |line: &str| {
        let ran = Command::new("openssl")
            .current_dir(dir)
            .args(line.split(' '))
            .output();
        ran.is_ok_and(|output| output.status.success())
    };
    std::fs::write(format!("{dir}/names"), "subjectAltName=IP:127.0.0.1").expect("it is writable");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let mut made = openssl(&format!(
        "req -x509 {key} -subj /CN=authority -days 30 -keyout ca-key.pem -out ca-cert.pem"
    ));
    for (file, name) in [
        ("server", "server"),
        ("client", "ops-one"),
        ("other", "other"),
    ] {
        made &= openssl(&format!(
            "req {key} -subj /CN={name} -keyout {file}-key.pem -out {file}.csr"
        ));
        made &= openssl(&format!(
            "x509 -req -in {file}.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 30 -extfile names -out {file}-cert.pem"
        ));
    }
    assert!(
        made || std::env::var_os("CI").is_none(),
        "openssl made no certificates"
    );
    made
}
