//! What accepted command lines mean.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tinamou::options::config::{
    Accel, ChardevBackend, ChardevConfig, Config, Firmware, InetAddress, MachineKind, MemoryConfig,
    MonitorMode, RtcBase, RtcClock, SocketAddress, SocketConfig, Topology,
};
use tinamou::options::{self, Invocation, table::OPTIONS};
use tinamou_api::ObjectOptionsBranch;
use tinamou_machine::run_state::{Actions, PanicAction, RebootAction, ShutdownAction};

fn invoke(program: &str, line: &str) -> Invocation {
    let args = std::iter::once(program)
        .chain(line.split_whitespace())
        .map(OsString::from);
    options::parse(args, &mut Vec::new()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn config(line: &str) -> Config {
    match invoke("tinamou", line) {
        Invocation::Run(config) => Arc::unwrap_or_clone(config),
        Invocation::Print(text) => panic!("{line}: {text}"),
    }
}

fn print(program: &str, line: &str) -> String {
    match invoke(program, line) {
        Invocation::Print(text) => text,
        Invocation::Run(config) => panic!("{line}: {config:?}"),
    }
}

/// Who talks through what: serial ports, then monitors.
fn wiring(line: &str) -> String {
    let config = config(line);
    let serials = config
        .serials
        .iter()
        .map(|id| id.clone().unwrap_or_else(|| "-".to_owned()));
    let monitors = config.monitors.iter().map(|monitor| {
        let mode = match (monitor.mode, monitor.pretty) {
            (MonitorMode::Readline, _) => "hmp",
            (MonitorMode::Control, false) => "qmp",
            (MonitorMode::Control, true) => "pretty",
        };
        format!("{mode}={}", monitor.chardev)
    });
    serials.chain(monitors).collect::<Vec<_>>().join(" ")
}

fn chardev(line: &str) -> ChardevConfig {
    config(&format!("-nodefaults {line}")).chardevs.remove(0)
}

fn socket(line: &str) -> SocketConfig {
    match chardev(line).backend {
        ChardevBackend::Socket(socket) => socket,
        other => panic!("{line}: {other:?}"),
    }
}

fn inet(host: &str, port: &str) -> SocketAddress {
    SocketAddress::Inet(InetAddress {
        host: host.into(),
        port: port.into(),
        to: None,
        ipv4: None,
        ipv6: None,
    })
}

#[test]
fn nothing_said_is_the_embedded_default() {
    let config = config("");
    assert!(config.embedded_default);
    assert_eq!(config.machine.kind, MachineKind::Virt);
    assert_eq!(
        config.memory,
        MemoryConfig {
            size: 128 << 20,
            slots: 0,
            max_size: 128 << 20
        }
    );
    assert_eq!(
        config.smp,
        Topology {
            cpus: 1,
            max_cpus: 1,
            sockets: 1,
            cores: 1,
            threads: 1
        }
    );
    assert_eq!(
        (config.accel, config.firmware),
        (Accel::Tcg, Firmware::Default)
    );
    assert_eq!(wiring(""), "serial0 qmp=compat_monitor0 hmp=serial0");
    assert!(
        config.chardevs[1].mux,
        "serial0 shares the terminal with the human monitor"
    );
    let port = socket("-qmp tcp:localhost:4444,server=on,wait=off");
    assert_eq!(config.chardevs[0].backend, ChardevBackend::Socket(port));
}

#[test]
fn terminals_are_wired_as_in_qemu() {
    let check = |line, expected: &str| assert_eq!(wiring(line), expected, "{line}");
    check("-nographic", "serial0 hmp=serial0");
    check("-nographic -serial none", "- hmp=compat_monitor0");
    check("-M none -nographic", "hmp=compat_monitor0");
    check("-M none -display none", "");
    check("-nographic -monitor none", "serial0");
    check(
        "-nographic -qmp unix:q.sock,server=on,wait=off",
        "serial0 qmp=compat_monitor0",
    );
    check(
        "-nographic -serial mon:stdio -qmp null",
        "serial0 qmp=compat_monitor0 hmp=serial0",
    );
    check("-display none", "serial0");
    check("-qmp null", "serial0 qmp=compat_monitor0");
    check(
        "-qmp null -qmp-pretty null -monitor pty",
        "serial0 qmp=compat_monitor0 pretty=compat_monitor1 hmp=compat_monitor2",
    );
    check("-nodefaults", "");
    check(
        "-nodefaults -serial null -serial none -serial pty",
        "serial0 - serial2",
    );
    check("-chardev null,id=c -serial chardev:c -nodefaults", "c");
    check(
        "-chardev stdio,id=mon0 -mon chardev=mon0,mode=readline \
         -chardev socket,id=mon1,host=localhost,port=4444,server=on,wait=off -mon chardev=mon1,mode=control,pretty=on",
        "serial0 hmp=mon0 pretty=mon1",
    );
}

#[test]
fn ctrl_c_is_for_the_guest_only_on_a_shared_terminal() {
    let signal = |line| match chardev(line).backend {
        ChardevBackend::Stdio { signal } => signal,
        other => panic!("{other:?}"),
    };
    assert_eq!(signal("-serial mon:stdio"), Some(false));
    assert_eq!(signal("-serial stdio"), None);
    assert_eq!(signal("-chardev stdio,id=c,signal=off"), Some(false));
}

#[test]
fn sockets() {
    let server = socket("-qmp tcp:localhost:4444,server");
    assert_eq!(server.address, inet("localhost", "4444"));
    assert!(server.server && server.wait && !server.nodelay && !server.telnet);
    let client = socket("-chardev socket,id=c,host=h,port=1,reconnect-ms=250,nodelay=on");
    assert!(!client.server && !client.wait && client.nodelay);
    assert_eq!(client.reconnect, Duration::from_millis(250));
    assert_eq!(
        socket("-chardev socket,id=c,host=h,port=1,reconnect=2").reconnect,
        Duration::from_secs(2)
    );
    assert_eq!(
        socket("-monitor telnet::23,server=on,wait=off").address,
        inet("", "23")
    );
    assert!(socket("-monitor telnet::23,server=on,wait=off").telnet);
    assert_eq!(socket("-qmp tcp:[::1]:4444").address, inet("::1", "4444"));
    assert_eq!(
        socket("-chardev socket,id=c,fd=7").address,
        SocketAddress::Fd("7".into())
    );
    assert_eq!(
        socket("-qmp unix:a,,b,server=on,max-clients=2").max_clients,
        Some(2)
    );
    let unix = |path: &str, is_abstract, tight| SocketAddress::Unix {
        path: path.into(),
        is_abstract,
        tight,
    };
    assert_eq!(
        socket("-qmp unix:a,,b,server=on").address,
        unix("a,b", false, true)
    );
    assert_eq!(
        socket("-qmp unix:n,abstract=on,tight=off").address,
        unix("n", true, false)
    );
    let json =
        r#"-chardev {"id":"c","backend":"socket","path":"q.sock","server":true,"wait":false}"#;
    assert_eq!(
        socket(json),
        socket("-chardev socket,id=c,path=q.sock,server=on,wait=off")
    );
}

#[test]
fn the_machine() {
    let config = config(
        "-M virt,acpi=off,dumpdtb=v.dtb -m size=1.5G,slots=2,maxmem=4G -smp 2,maxcpus=8,sockets=2 -cpu rv64,zba=off \
         -accel qtest -kernel Image -initrd i.cpio -append console=ttyS0 -bios none -dtb d -display none",
    );
    assert_eq!(config.machine.dumpdtb, Some(PathBuf::from("v.dtb")));
    assert_eq!(
        config.memory,
        MemoryConfig {
            size: 3 << 29,
            slots: 2,
            max_size: 4 << 30
        }
    );
    assert_eq!(
        config.smp,
        Topology {
            cpus: 2,
            max_cpus: 8,
            sockets: 2,
            cores: 4,
            threads: 1
        }
    );
    assert!(!config.cpu.isa.names().contains(&"zba"));
    assert_eq!(
        (config.accel, config.firmware),
        (Accel::Qtest, Firmware::None)
    );
    assert_eq!(config.kernel, Some(PathBuf::from("Image")));
    assert_eq!(config.append.as_deref(), Some("console=ttyS0"));
    let by_property =
        self::config("-M virt,kernel=Image,append=x,smp.cpus=2,memory.size=64M,accel=kvm:tcg");
    assert_eq!(
        (by_property.smp.cpus, by_property.memory.size),
        (2, 64 << 20)
    );
    assert_eq!(by_property.append.as_deref(), Some("x"));
    let object = "-object memory-backend-ram,id=m,size=64M,share=on -M virt,memory-backend=m -m 64";
    let ObjectOptionsBranch::MemoryBackendRam(memory) =
        &self::config(object).objects[0].options.branch
    else {
        panic!("memory was asked for");
    };
    assert_eq!(memory.share, Some(true));
}

#[test]
fn the_run() {
    let config = config(
        "-name a -name guest=vm,,1,debug-threads=on -uuid 550e8400-e29b-41d4-a716-446655440000 -S --preconfig \
         -no-shutdown -action reboot=shutdown,panic=none -watchdog-action pause -rtc base=2006-06-17,clock=vm \
         -d cpu_reset,trace -D log -msg timestamp=on -pidfile p -add-fd fd=9,set=3,opaque=x -qtest null -qtest-log none \
         -global virtio.x=1 -L /a -L /b",
    );
    assert_eq!(config.name.as_deref(), Some("vm,1"));
    assert_eq!(config.uuid.map(|uuid| uuid[15]), Some(0));
    assert!(
        config.start_paused
            && config.preconfig
            && config.debug_threads
            && config.messages.timestamp
    );
    let Actions {
        reboot,
        shutdown,
        panic,
        ..
    } = config.actions;
    assert_eq!(
        (reboot, shutdown, panic),
        (
            RebootAction::Shutdown,
            ShutdownAction::Pause,
            PanicAction::None
        )
    );
    assert_eq!(
        (config.rtc.base, config.rtc.clock),
        (RtcBase::Fixed(1_150_502_400), RtcClock::Vm)
    );
    assert_eq!(config.log.items, ["cpu_reset", "trace"]);
    assert_eq!((config.fds[0].fd, config.fds[0].set), (9, 3));
    assert_eq!(
        (config.qtest.as_deref(), config.qtest_log),
        (Some("qtest"), Some("none".into()))
    );
    assert_eq!(
        (
            config.globals[0].driver.as_str(),
            config.globals[0].value.as_str()
        ),
        ("virtio", "1")
    );
    assert_eq!(config.data_dirs.len(), 2);
}

#[test]
fn harnesses_find_the_version() {
    let version = print("/usr/bin/qemu-system-riscv64", "--version");
    assert!(
        version.starts_with("QEMU emulator version 10.0.2 (Tinamou "),
        "{version}"
    );
    let version = print("tinamou", "-version");
    assert!(
        version.starts_with("Tinamou ") && version.contains("QEMU emulator version 10.0.2"),
        "{version}"
    );
}

#[test]
fn help_lists_what_there_is() {
    let help = print("tinamou", "-help");
    for opt in OPTIONS {
        assert!(help.contains(&format!("\n-{}", opt.name)), "{}", opt.name);
        assert_eq!(
            opt.usage.is_none(),
            !print_usage(&help, opt.name),
            "{}",
            opt.name
        );
    }
    let longest = help
        .lines()
        .filter(|line| line.starts_with(' '))
        .map(str::len)
        .max();
    assert!(longest.is_some_and(|longest| longest <= 80), "{longest:?}");
    for (line, expected) in [
        ("-M help", "virt"),
        ("-M ?", "none"),
        ("-M virt,help", "dumpdtb=<str>"),
        ("-cpu help", "rv64"),
        ("-accel help", "qtest"),
        ("-chardev help", "ringbuf"),
        ("-object help", "memory-backend-ram"),
        ("-smp help", "maxcpus=<num>"),
        ("-m help", "size=<size>"),
        ("-action help", "watchdog=<str>"),
        ("-d help", "cpu_reset"),
        ("-display help", "none"),
        ("-h", "usage: tinamou"),
    ] {
        assert!(print("tinamou", line).contains(expected), "{line}");
    }
}

fn print_usage(help: &str, name: &str) -> bool {
    let head = help.lines().find(|line| {
        line.strip_prefix('-')
            .is_some_and(|rest| rest.split(' ').next() == Some(name))
    });
    let table = OPTIONS
        .iter()
        .find(|opt| opt.name == name)
        .and_then(|opt| opt.usage);
    table.is_some_and(|usage| head.is_some_and(|head| head.contains(usage)))
}

#[test]
fn options_from_a_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("vm.cfg");
    let read = |text: &str| {
        fs::write(&path, text).expect("a file");
        let args = [
            "tinamou".into(),
            "-readconfig".into(),
            path.clone().into_os_string(),
        ];
        options::parse(args, &mut Vec::new()).map_err(|error| error.to_string())
    };
    let good = "# a machine\n[machine]\n  type = \"none\"\n\n[memory]\n size=\"64M\"\n[smp-opts]\ncpus = \"1\"\n\
                [chardev \"c\"]\nbackend = \"socket\"\npath = \"a,b\"\n[mon]\nchardev = \"c\"\nmode = \"control\"\n";
    let Ok(Invocation::Run(config)) = read(good) else {
        panic!("{:?}", read(good))
    };
    assert_eq!(
        (config.machine.kind, config.memory.size),
        (MachineKind::None, 64 << 20)
    );
    let ChardevBackend::Socket(socket) = &config.chardevs[0].backend else {
        panic!("{config:?}")
    };
    assert_eq!(
        socket.address,
        SocketAddress::Unix {
            path: "a,b".into(),
            is_abstract: false,
            tight: true
        }
    );
    assert_eq!(config.monitors[0].chardev, "c");

    for (text, expected) in [
        ("junk\n", "vm.cfg:1: no group defined"),
        (
            "\n[foo]\na = \"b\"\n",
            "vm.cfg:2: There is no option group 'foo'",
        ),
        ("[machine]\na = b\n", "vm.cfg:2: parse error"),
        ("[machine\n", "vm.cfg:1: parse error"),
        (
            "[chardev \"1x\"]\nbackend = \"null\"\n",
            "vm.cfg:1: Parameter 'id' expects an identifier",
        ),
        (
            "[mon]\nchardev = \"x\"\n",
            "vm.cfg:1: chardev \"x\" not found",
        ),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}
