//! MQTT over WebSocket over TLS: a client of our own, since Debian has none.
//!
//! It runs as `sphere-lab client websocket HOST PORT ROOT` inside the device's namespace, so that it sees the
//! device's `resolv.conf`.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use mqttbytes::QoS;
use mqttbytes::v4::{Connect, Packet, Publish, read};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use super::{Attempt, Trust};
use crate::net::Device;
use crate::program;

/// Where Azure's services expect MQTT over WebSocket.
const PATH: &str = "/$iothub/websocket";
const ANSWER: Duration = Duration::from_secs(3);

/// Connects from a device and publishes one message, which the broker has to acknowledge.
///
/// # Errors
/// When the client cannot be run at all.
pub fn publish(device: &Device, host: &str, port: u16, trust: Trust<'_>) -> Result<Attempt> {
    let client = program::lab()?.display().to_string();
    let root = trust.root.display().to_string();
    let port = port.to_string();
    let arguments = ["client", "websocket", host, &port, &root];
    let done = device.run(&client, &arguments, trust.limit)?;
    Ok(Attempt::judge(&done, |done| done.stdout.contains("PUBACK").then(|| "PUBACK".to_owned())))
}

/// The client itself: returns the word for the broker's acknowledgement.
///
/// # Errors
/// When any step fails: name, connection, TLS, WebSocket upgrade, MQTT.
pub fn run(host: &str, port: u16, root: &Path) -> Result<&'static str> {
    let stream = connect(host, port)?;
    let stream = secure(stream, host, root)?;
    let mut request = format!("wss://{host}:{port}{PATH}").into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("mqtt"));
    let (mut socket, _response) =
        tungstenite::client(request, stream).map_err(|error| anyhow::anyhow!("upgrade: {error}"))?;
    let mut buffer = BytesMut::new();
    encode(&mut buffer, |buffer| {
        let mut connect = Connect::new("websocket-device");
        connect.keep_alive = 60;
        connect.write(buffer)
    })?;
    match exchange(&mut socket, &mut buffer)? {
        Packet::ConnAck(_) => {}
        other => bail!("expected CONNACK, got {other:?}"),
    }
    encode(&mut buffer, |buffer| {
        let mut publish = Publish::new("telemetry", QoS::AtLeastOnce, "21.5");
        publish.pkid = 1;
        publish.write(buffer)
    })?;
    match exchange(&mut socket, &mut buffer)? {
        Packet::PubAck(ack) if ack.pkid == 1 => Ok("PUBACK"),
        other => bail!("expected PUBACK, got {other:?}"),
    }
}

fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let addresses = (host, port).to_socket_addrs().with_context(|| format!("cannot resolve {host}"))?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("{host} has no address"), Into::into))
}

fn secure(stream: TcpStream, host: &str, root: &Path) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())?;
    let connection = ClientConnection::new(Arc::new(config), name)?;
    Ok(StreamOwned::new(connection, stream))
}

fn encode(buffer: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> Result<usize, mqttbytes::Error>) -> Result<()> {
    buffer.clear();
    write(buffer).map(drop).map_err(|error| anyhow::anyhow!("cannot encode: {error:?}"))
}

/// Sends what is in the buffer, and returns the packet that comes back.
fn exchange(socket: &mut WebSocket<impl Read + Write>, buffer: &mut BytesMut) -> Result<Packet> {
    socket.send(Message::Binary(buffer.split().freeze()))?;
    let mut answer = BytesMut::new();
    loop {
        if let Message::Binary(bytes) = socket.read()? {
            answer.extend_from_slice(&bytes);
            if let Ok(packet) = read(&mut answer, 1024) {
                return Ok(packet);
            }
        }
    }
}
