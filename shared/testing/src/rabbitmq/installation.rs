//! Where RabbitMQ is installed, and how its programs are told to use a folder of our own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::account::Account;

/// Ports of one server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) management: u16,
    pub(super) distribution: u16,
    pub(super) epmd: u16,
}

/// One of RabbitMQ's own programs. The ones in `/usr/sbin` change the account and the folder; these do not.
///
/// # Errors
/// When RabbitMQ is not installed; says what to do.
pub(super) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let folders = ["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"];
    let folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    crate::environment::find_program(name, &folders).with_context(|| {
        format!(
            "this test was not run: it needs RabbitMQ, and there is none. Run `make test`, which installs it, or \
             `apt-get install rabbitmq-server`, or name a server with {}",
            super::VARIABLE
        )
    })
}

/// A command of this server: its node, its cookie, its folder, and nothing of the machine's own RabbitMQ.
pub(super) fn command(name: &str, folder: &Path, ports: Ports, account: Account) -> anyhow::Result<Command> {
    let mut command = Command::new(program(name)?);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("LANG", "C.UTF-8").env("HOME", folder).current_dir(folder);
    command.env("ERL_EPMD_PORT", ports.epmd.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.env("RABBITMQ_NODENAME", format!("waitless{}@localhost", ports.amqp));
    command.env("RABBITMQ_DIST_PORT", ports.distribution.to_string());
    for (variable, path) in [
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
        ("RABBITMQ_CONF_ENV_FILE", "absent.conf"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "absent.config"),
    ] {
        command.env(variable, folder.join(path));
    }
    // Without this the start script stays as a parent that answers signals in its own way.
    command.env("RUNNING_UNDER_SYSTEMD", "true");
    // Idle schedulers must not spin, and few threads wake each other less: tests run many of these beside each other.
    let erlang =
        "+S 2:2 +SDcpu 1:1 +SDio 2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}";
    command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang);
    command.env("RABBITMQ_CTL_ERL_ARGS", "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}");
    account.apply(&mut command);
    Ok(command)
}

/// The port mapper of one server, in the foreground; RabbitMQ would else detach one running for ever.
pub(super) fn port_mapper(ports: Ports, account: Account) -> anyhow::Result<Command> {
    let erlang = std::fs::read_dir("/usr/lib/erlang").into_iter().flatten().flatten();
    let folders: Vec<PathBuf> = erlang.map(|entry| entry.path().join("bin")).collect();
    let program = crate::environment::find_program("epmd", &folders).context("find epmd, which comes with Erlang")?;
    let mut command = Command::new(program);
    command.args(["-port", &ports.epmd.to_string(), "-address", "127.0.0.1"]).current_dir("/");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    account.apply(&mut command);
    Ok(command)
}

/// Writes the files a server reads at its start.
pub(super) fn configure(folder: &Path, ports: Ports, management: bool, lines: &[String]) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut configuration = format!("listeners.tcp.1 = 127.0.0.1:{}\nlog.file.level = info\n", ports.amqp);
    if management {
        configuration.push_str(&format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n", ports.management));
    }
    for line in lines {
        configuration.push_str(line);
        configuration.push('\n');
    }
    std::fs::write(folder.join("rabbitmq.conf"), configuration)?;
    std::fs::write(folder.join("plugins"), if management { "[rabbitmq_management]." } else { "[]." })?;
    let cookie = folder.join(".erlang.cookie");
    if !cookie.exists() {
        std::fs::write(&cookie, uuid::Uuid::new_v4().simple().to_string())?;
        std::fs::set_permissions(&cookie, std::fs::Permissions::from_mode(0o400))?;
    }
    Ok(())
}
