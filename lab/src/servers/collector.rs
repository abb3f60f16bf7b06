//! Rotel, a collector of OpenTelemetry, as receiver of records. It speaks plain HTTP: nginx stands before it with TLS, and
//! asks for a password.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::receiver::{Receiver, numbers_behind};
use super::{listens, socket};
use crate::net::Network;
use crate::net::plan::server;
use crate::pki::Authority;
use crate::process::Process;

/// Where nginx listens.
const HTTPS: u16 = 4318;
/// Where the collector listens, for HTTP and for gRPC, on loopback.
const HTTP: u16 = 14_318;
const GRPC: u16 = 14_317;
const AUTHORIZATION: &str = "Bearer lab";

/// Starts both in the internet.
///
/// # Errors
/// When one does not listen, with the end of its log.
pub fn start(network: &Network, authority: &Authority) -> Result<Receiver> {
    let ground = &network.ground;
    let at = socket(server(6, 3), HTTPS);
    let front = front(network, authority)?;
    let (log, token) = (ground.path("collector.log"), ground.path("collector.token"));
    fs::write(&token, format!("{AUTHORIZATION}\n"))?;
    let url = format!("https://{at}/v1/logs");
    let table = format!(
        "type = \"otlp\"\nurl = \"{url}\"\nroots = \"{}\"\nauthorization = \"{}\"\n",
        authority.certificate().display(),
        token.display()
    );
    let (namespace, pid, taken) = (network.internet.name().to_owned(), ground.path("collector.pid"), log.clone());
    let start = move || {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &namespace, "rotel-agent", "start", "--exporter", "blackhole"]);
        command.args(["--debug-log", "logs", "--debug-log-verbosity", "detailed", "--pid-file"]).arg(&pid);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{HTTP}")]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{GRPC}")]);
        let process = Process::start("rotel-agent", command, &log)?;
        listens(&namespace, socket([127, 0, 0, 1], HTTP))?;
        Ok(process)
    };
    let heard = move || {
        let text = fs::read_to_string(&taken).unwrap_or_default();
        // Each record with its name, in the words of the collector.
        let records = text.split("EventName: sphere.denied\n").skip(1);
        Ok(records.filter_map(|record| numbers_behind("-> destination.port: Int(", record).first().copied()).collect())
    };
    Receiver::open((format!("otlp {url}"), table), Some(front), start, heard)
}

/// nginx before it.
fn front(network: &Network, authority: &Authority) -> Result<Process> {
    let at = socket(server(6, 3), HTTPS);
    let issued = authority.issue(&at.ip().to_string())?;
    let directory = network.ground.path("collector-front");
    fs::create_dir_all(&directory)?;
    let config = directory.join("nginx.conf");
    let text = format!(
        "worker_processes 1;\npid nginx.pid;\nuser root;\nerror_log stderr crit;\nevents {{ }}\nhttp {{\naccess_log off;\n\
         client_max_body_size 4m;\nclient_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; \
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{ listen {at} ssl; ssl_certificate {}; ssl_certificate_key {};\n\
         if ($http_authorization != \"{AUTHORIZATION}\") {{ return 401; }}\n\
         location / {{ proxy_pass http://127.0.0.1:{HTTP}; proxy_read_timeout 2s; proxy_next_upstream off; }} }} }}\n",
        issued.certificate.display(),
        issued.key.display()
    );
    fs::write(&config, text)?;
    let mut command = network.internet.command("nginx");
    command.arg("-p").arg(&directory).arg("-c").arg(&config).args(["-e", "stderr", "-g", "daemon off;"]);
    let process = Process::start("nginx", command, &network.ground.path("collector-front.log"))?;
    listens(network.internet.name(), at)?;
    Ok(process)
}
