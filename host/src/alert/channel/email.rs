//! Mail over SMTP: TLS from the start or by STARTTLS, without TLS to this machine alone.

use super::{Channel, SendError, revealed, without};
use crate::alert::Alert;
use crate::domain::sanitize_line;
use crate::provider::{ApiKey, chain, is_loopback_host};
use async_trait::async_trait;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// For a connection to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a subject, in bytes.
const SUBJECT_MAX: usize = 200;

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::alert) enum Security {
    StartTls,
    Tls,
    /// To this machine alone.
    None,
}

impl Security {
    pub(in crate::alert) fn from_name(name: &str) -> Option<Self> {
        match name {
            "starttls" => Some(Self::StartTls),
            "tls" => Some(Self::Tls),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    /// RFC 6409, RFC 8314, RFC 5321.
    const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// Where mail is handed in.
pub(in crate::alert) struct Server<'a> {
    pub(in crate::alert) host: &'a str,
    pub(in crate::alert) port: Option<u16>,
    pub(in crate::alert) security: Security,
    pub(in crate::alert) login: Option<(String, ApiKey)>,
    pub(in crate::alert) ca_file: Option<&'a Path>,
}

pub(in crate::alert) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    password: Option<ApiKey>,
    shown: String,
}

impl Mail {
    pub(in crate::alert) fn new(server: Server<'_>, from: &str, to: &[String]) -> Result<Self, String> {
        let Server { host, port, security, login, ca_file } = server;
        let tls = match security {
            Security::StartTls => Tls::Required(parameters(host, ca_file)?),
            Security::Tls => Tls::Wrapper(parameters(host, ca_file)?),
            Security::None if is_loopback_host(host) => Tls::None,
            Security::None => {
                return Err("security = \"none\" is for this machine alone: write \"starttls\" or \"tls\"".into());
            }
        };
        let port = port.unwrap_or_else(|| security.port());
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(CONNECT_TIMEOUT));
        let password = login.as_ref().map(|(_, password)| password.clone());
        if let Some((user, password)) = login {
            transport = transport
                .credentials(Credentials::new(user, password.reveal().to_owned()))
                .authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        if to.is_empty() {
            return Err("`to` names nobody: to = [\"ops@example.com\"]".into());
        }
        let to = to.iter().map(|address| mailbox("to", address)).collect::<Result<_, _>>()?;
        Ok(Self {
            transport: transport.build(),
            from: mailbox("from", from)?,
            to,
            password,
            shown: format!("email through {host}:{port}"),
        })
    }

    /// The same id for each try: a server that took one whose answer was lost knows the next.
    fn message(&self, alert: &Alert) -> Result<Message, String> {
        let at = UNIX_EPOCH + Duration::from_millis(alert.at_ms);
        let builder = Message::builder()
            .from(self.from.clone())
            .subject(sanitize_line(&format!("[sandmill] {}", alert.headline()), SUBJECT_MAX))
            .date(at)
            .message_id(Some(format!("<{}@{}>", alert.id, self.from.email.domain())))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        let addressed = self.to.iter().cloned().fold(builder, MessageBuilder::to);
        addressed.body(alert.to_text()).map_err(|error| chain(&error))
    }
}

#[async_trait]
impl Channel for Mail {
    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let message = self.message(alert).map_err(SendError::last)?;
        self.transport.send(message).await.map(|_| ()).map_err(|error| {
            let said = without([revealed(self.password.as_ref())], &chain(&error));
            // A certificate that is not trusted stays so.
            if error.is_permanent() || is_about_certificates(&error) {
                SendError::last(said)
            } else {
                SendError::passing(said)
            }
        })
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }
}

fn is_about_certificates(error: &smtp::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.to_string().contains("invalid peer certificate") {
            return true;
        }
        source = cause.source();
    }
    false
}

fn mailbox(key: &str, address: &str) -> Result<Mailbox, String> {
    address.parse().map_err(|error| format!("`{key}`: `{address}` is no address: {error}"))
}

/// `ca_file`: PEM, trusted beside the system's.
fn parameters(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let bad = |reason: String| format!("cannot use the certificates in {}: {reason}", path.display());
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        if !pem.windows(27).any(|bytes| bytes == b"-----BEGIN CERTIFICATE-----") {
            return Err(bad("it holds no certificate in PEM".into()));
        }
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| bad(chain(&error)))?);
    }
    builder.build().map_err(|error| chain(&error))
}

/// RFC 3834: nobody who is on holiday need answer.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::tests::alert;

    fn mail(host: &str, security: Security, to: &[&str]) -> Result<Mail, String> {
        let to: Vec<String> = to.iter().map(|address| (*address).to_owned()).collect();
        let server = Server { host, port: None, security, login: None, ca_file: None };
        Mail::new(server, "Sandmill <batch@example.com>", &to)
    }

    #[test]
    fn a_letter_has_what_mail_programs_want_and_no_line_of_somebody_elses_becomes_a_header() {
        let mail = mail("127.0.0.1", Security::None, &["ops@example.com", "Jo <jo@example.com>"]).unwrap();
        let alert = Alert { reason: "bad\r\nBcc: all@example.com".into(), ..alert() };
        let text = String::from_utf8(mail.message(&alert).unwrap().formatted()).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: Sandmill <batch@example.com>",
            "To: ops@example.com, Jo <jo@example.com>",
            "Message-ID: <talks-1-1@example.com>",
            "Date: Tue, 14 Nov 2023 22:13:21 +0000",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(headers.contains(line), "{line}\n{headers}");
        }
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
        assert!(body.contains("sandmill resume talks"), "{body}");
    }

    #[test]
    fn only_this_machine_gets_mail_without_tls() {
        assert!(mail("smtp.example.com", Security::None, &["ops@example.com"]).err().unwrap().contains("starttls"));
        assert!(mail("::1", Security::None, &["ops@example.com"]).is_ok());
        assert_eq!(
            mail("smtp.example.com", Security::StartTls, &["ops@example.com"]).unwrap().describe(),
            "email through smtp.example.com:587"
        );
    }

    #[test]
    fn bad_addresses_are_told() {
        assert!(mail("localhost", Security::None, &["ops"]).err().unwrap().contains("`ops` is no address"));
        assert!(mail("localhost", Security::None, &[]).err().unwrap().contains("nobody"));
    }
}
