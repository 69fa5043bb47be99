//! Linux guests: unmodified kernels whose drivers prove the devices.
//!
//! The guest is what `guest/linux` makes: a conversation on the console, and
//! the commands of `guest/linux/root/bin/t` in it. A story is a function of
//! the program that is to run the machine; [`on_both!`] makes a test of it that
//! shows that the story is true, and one that shows it of tinamou.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::{Console, PATIENCE, QEMU, Qmp, Vm, installed, skip, tinamou};

mod balloon;
mod block;
mod board;
mod boot;
mod client;
mod hotplug;
mod images;
mod input;
mod memory;
mod rx_filter;
mod screen;
mod serial;
mod tap;
mod usernet;

/// Makes two tests of each story: one on real QEMU, one on tinamou.
macro_rules! on_both {
    ($($story:ident)*) => {
        mod on_qemu {
            $(#[test] fn $story() { super::$story($crate::linux::Program::Qemu) })*
        }
        mod on_tinamou {
            $(#[test] fn $story() { super::$story($crate::linux::Program::Tinamou) })*
        }
    };
}
use on_both;

/// Who runs the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Program {
    Qemu,
    Tinamou,
}

/// What runs in it.
#[derive(Clone, Copy, Debug)]
enum Kernel {
    /// Debian's own, with modules.
    Debian,
    /// The small one, which drives hot-plug slots itself.
    Small,
}

impl Kernel {
    /// Its file, and the one that says it is whole.
    fn files(self) -> [&'static str; 2] {
        match self {
            Self::Debian => ["Image", "MANIFEST"],
            Self::Small => ["Image.small", "MANIFEST.small"],
        }
    }
}

/// Where `guest/linux` put its work, if the test setup ran it.
fn artifacts(kernel: Kernel) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("TINAMOU_GUEST")?);
    kernel
        .files()
        .iter()
        .chain(&["initrd-ga.cpio", "MANIFEST"])
        .all(|name| path.join(name).exists())
        .then_some(path)
}

/// A guest that has booted to its prompt, and a QMP session with its machine.
struct Guest {
    vm: Vm,
    console: Console,
    qmp: Qmp,
    _image: Option<NamedTempFile>,
}

/// How a guest is started.
struct Boot {
    program: Program,
    kernel: Kernel,
    initrd: &'static str,
    machine: &'static str,
    words: String,
    arguments: Vec<String>,
    image: Option<NamedTempFile>,
}

impl Boot {
    /// A machine with nothing but its board.
    fn new(program: Program, kernel: Kernel) -> Self {
        Self {
            program,
            kernel,
            initrd: "initrd.cpio",
            machine: "virt",
            words: String::new(),
            arguments: Vec::new(),
            image: None,
        }
    }

    /// Another `-M` than `virt`.
    fn machine(mut self, machine: &'static str) -> Self {
        self.machine = machine;
        self
    }

    /// With the guest agent on board.
    fn with_agent(mut self) -> Self {
        self.initrd = "initrd-ga.cpio";
        self
    }

    /// More words on the kernel's command line.
    fn words(mut self, words: &str) -> Self {
        self.words = format!("{} {words}", self.words);
        self
    }

    /// More of the machine's command line, as it is typed: no quotes, split at blanks.
    fn with(mut self, arguments: &str) -> Self {
        self.arguments
            .extend(arguments.split_whitespace().map(str::to_owned));
        self
    }

    /// With a block node "d0": a raw image, empty, of so many bytes.
    fn image(mut self, length: u64) -> Self {
        let image = NamedTempFile::new().expect("a temporary file");
        image.as_file().set_len(length).expect("a sparse file");
        let node = format!(
            "-blockdev raw,node-name=d0,discard=unmap,file.driver=file,file.filename={}",
            image.path().display()
        );
        self.image = Some(image);
        self.with(&node)
    }

    /// Starts it and waits for the prompt; `None` when something for it is missing here.
    fn up(self) -> Option<Guest> {
        let mut guest = self.start()?;
        guest.prompt();
        Some(guest)
    }

    /// Starts it, and leaves the boot to be read from the console.
    fn start(self) -> Option<Guest> {
        let Some(artifacts) = artifacts(self.kernel) else {
            skip(&format!(
                "there is no Linux guest with kernel {:?}",
                self.kernel
            ));
            return None;
        };
        let program = match self.program {
            Program::Tinamou => tinamou(),
            Program::Qemu if installed(QEMU) => PathBuf::from(QEMU),
            Program::Qemu => {
                skip("there is no QEMU");
                return None;
            }
        };
        let path = |name: &str| artifacts.join(name).display().to_string();
        let mut arguments: Vec<String> = format!(
            "-M {} -nodefaults -serial chardev:console \
             -chardev socket,id=console,path=console.sock,server=on,wait=on -kernel {} -initrd {}",
            self.machine,
            path(self.kernel.files()[0]),
            path(self.initrd),
        )
        .split_whitespace()
        .map(str::to_owned)
        .collect();
        arguments.extend([
            "-append".into(),
            format!("console=ttyS0 quiet{}", self.words),
        ]);
        if !self.arguments.iter().any(|argument| argument == "-m") {
            arguments.extend(["-m".into(), "256".into()]);
        }
        arguments.extend(self.arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // wait=on: no byte of the boot is lost, but the monitor starts only after
        // somebody has connected, so the console comes first.
        let vm = Vm::launch(&program, &arguments, "console.sock");
        let console = Console::connect(&vm.path("console.sock"));
        let qmp = vm.qmp();
        Some(Guest {
            vm,
            console,
            qmp,
            _image: self.image,
        })
    }
}

impl Guest {
    /// Waits until the guest asks for its first line.
    fn prompt(&mut self) {
        self.console.expect("@READY");
        self.console.expect("@> ");
    }

    /// Runs a line in the guest; it must succeed. Its output.
    #[track_caller]
    fn run(&mut self, line: &str) -> String {
        let (output, status) = self.try_run(line);
        assert_eq!(status, "0", "{line:?} failed in the guest: {output}");
        output
    }

    /// Runs a line in the guest: its output and its exit status.
    fn try_run(&mut self, line: &str) -> (String, String) {
        self.type_line(line);
        let mut output = self.console.expect("@RC=");
        output.truncate(output.len() - "@RC=".len());
        let status = self.console.expect("\r\n").trim_end().to_owned();
        self.console.expect("@> ");
        (output.replace("\r\n", "\n"), status)
    }

    /// Types a line that is not answered as usual: the guest goes away over it.
    fn type_line(&mut self, line: &str) {
        self.console.send(&format!("{line}\n"));
    }

    /// Runs a command that must succeed.
    #[track_caller]
    fn qmp(&mut self, command: &str, arguments: Value) -> Value {
        match self.qmp.execute(command, arguments) {
            Ok(value) => value,
            Err(error) => panic!("{command}: {error}"),
        }
    }

    /// Runs a command that must be refused: class and description.
    #[track_caller]
    fn refused(&mut self, command: &str, arguments: Value) -> Value {
        match self.qmp.execute(command, arguments) {
            Ok(value) => panic!("{command} succeeded: {value}"),
            Err(error) => error,
        }
    }

    /// The data of the next event of that name.
    fn event(&mut self, name: &str) -> Value {
        self.qmp.event(name)["data"].take()
    }

    /// Every event up to now, as name and data. Nothing is waited for: whatever
    /// happened before the guest's last answer is in the session already.
    fn events(&mut self) -> Vec<(String, Value)> {
        self.qmp("query-status", json!({}));
        let name = |event: &Value| event["event"].as_str().unwrap_or_default().to_owned();
        self.qmp
            .take_events()
            .into_iter()
            .map(|mut event| (name(&event), event["data"].take()))
            .collect()
    }

    /// Asks again and again until something is so.
    #[track_caller]
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.run("usleep 100000");
        }
    }

    /// Resident memory of the machine's process.
    fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that it ever was.
    fn peak_resident(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, kind: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.vm.pid())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with(kind));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.expect("a size").parse::<u64>().expect("a number") << 10
    }

    /// Ends the guest in order; the machine must end with it.
    fn power_off(mut self) {
        self.type_line("t poweroff");
        assert_eq!(
            self.event("SHUTDOWN"),
            json!({"guest": true, "reason": "guest-shutdown"})
        );
        assert_eq!(self.vm.wait().code(), Some(0));
    }
}
