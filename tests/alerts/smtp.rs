//! A mail server on this machine: takes letters over SMTP, with TLS from the start or by STARTTLS, PLAIN and LOGIN, and in several bad
//! moods.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Takes the connection, and says nothing.
    Hangs,
    /// Has no time.
    Busy,
    /// Waits before each answer.
    Slow,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) starttls: bool,
    pub(super) tls: bool,
    /// Who may hand in mail, and how it is proven; `None`: anybody.
    pub(super) login: Option<(&'static str, &'static str, &'static str)>,
    pub(super) mood: Mood,
}

impl Default for Manner {
    fn default() -> Self {
        Self { starttls: false, tls: false, login: None, mood: Mood::Well }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Letter {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) text: String,
    pub(super) over_tls: bool,
    pub(super) user: Option<String>,
}

#[derive(Default)]
struct Seen {
    letters: Vec<Letter>,
    /// Every line that came, of letters those of the envelope alone.
    lines: Vec<String>,
    connections: usize,
}

pub(super) struct MailServer {
    pub(super) port: u16,
    /// Its certificate, in PEM.
    pub(super) certificate: String,
    seen: Arc<Mutex<Seen>>,
    /// Ends with it.
    _runtime: tokio::runtime::Runtime,
}

impl MailServer {
    pub(super) fn start(manner: Manner) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = key.cert.pem();
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], secret)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let kept = Arc::clone(&seen);
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let talk = Talk { manner, tls: tls.clone(), seen: Arc::clone(&kept) };
                // A client that goes away in the middle of it has ended its own talk only.
                tokio::spawn(async move { talk.begin(stream).await });
            }
        });
        Self { port, certificate, seen, _runtime: runtime }
    }

    pub(super) fn letters(&self) -> Vec<Letter> {
        self.seen.lock().unwrap().letters.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub(super) fn lines(&self) -> String {
        self.seen.lock().unwrap().lines.join("\n")
    }
}

struct Talk {
    manner: Manner,
    tls: TlsAcceptor,
    seen: Arc<Mutex<Seen>>,
}

/// How a talk ended.
enum End {
    StartTls,
    Quit,
}

impl Talk {
    async fn begin(self, stream: TcpStream) -> std::io::Result<()> {
        self.seen.lock().unwrap().connections += 1;
        let mut letter = Letter::default();
        match self.manner.mood {
            Mood::Hangs => std::future::pending().await,
            Mood::Busy => {
                let mut stream = stream;
                return stream.write_all(b"421 localhost has no time\r\n").await;
            }
            Mood::Well | Mood::Slow => {}
        }
        if self.manner.tls {
            letter.over_tls = true;
            self.talk(&mut BufReader::new(self.tls.accept(stream).await?), letter, true).await?;
            return Ok(());
        }
        let mut plain = BufReader::new(stream);
        if let End::StartTls = self.talk(&mut plain, letter.clone(), true).await? {
            letter.over_tls = true;
            let secured = self.tls.accept(plain.into_inner()).await?;
            self.talk(&mut BufReader::new(secured), letter, false).await?;
        }
        Ok(())
    }

    async fn say(&self, stream: &mut (impl AsyncWrite + Unpin), text: &str) -> std::io::Result<()> {
        if self.manner.mood == Mood::Slow {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        stream.flush().await
    }

    async fn line(&self, stream: &mut BufReader<impl AsyncRead + Unpin>) -> std::io::Result<String> {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        mut letter: Letter,
        greets: bool,
    ) -> std::io::Result<End> {
        if greets {
            self.say(stream, "220 localhost ready").await?;
        }
        loop {
            let line = self.line(stream).await?;
            self.seen.lock().unwrap().lines.push(line.clone());
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word.to_ascii_uppercase().as_str() {
                "EHLO" => self.extensions(stream, letter.over_tls).await?,
                "STARTTLS" if self.manner.starttls && !letter.over_tls => {
                    self.say(stream, "220 go on").await?;
                    return Ok(End::StartTls);
                }
                "AUTH" => {
                    letter.user = self.login(stream, rest).await?;
                    let answer = if letter.user.is_some() { "235 welcome" } else { "535 5.7.8 who are you" };
                    self.say(stream, answer).await?;
                }
                "MAIL" if self.manner.login.is_some() && letter.user.is_none() => {
                    self.say(stream, "530 5.7.0 log in first").await?;
                }
                "MAIL" => {
                    rest.clone_into(&mut letter.from);
                    self.say(stream, "250 ok").await?;
                }
                "RCPT" => {
                    letter.to.push(rest.to_owned());
                    self.say(stream, "250 ok").await?;
                }
                "DATA" => {
                    self.say(stream, "354 go on").await?;
                    loop {
                        match self.line(stream).await?.as_str() {
                            "." => break,
                            line => letter.text.extend([line.strip_prefix(".").unwrap_or(line), "\n"]),
                        }
                    }
                    self.seen.lock().unwrap().letters.push(letter.clone());
                    self.say(stream, "250 taken").await?;
                }
                "QUIT" => {
                    self.say(stream, "221 bye").await?;
                    return Ok(End::Quit);
                }
                _ => self.say(stream, "502 what?").await?,
            }
        }
    }

    async fn extensions(&self, stream: &mut (impl AsyncWrite + Unpin), over_tls: bool) -> std::io::Result<()> {
        let mut lines = vec!["localhost".to_owned(), "8BITMIME".to_owned(), "SMTPUTF8".to_owned()];
        if self.manner.starttls && !over_tls {
            lines.push("STARTTLS".to_owned());
        }
        lines.extend(self.manner.login.map(|(_, _, mechanism)| format!("AUTH {mechanism}")));
        let last = lines.pop().unwrap();
        for line in lines {
            self.say(stream, &format!("250-{line}")).await?;
        }
        self.say(stream, &format!("250 {last}")).await
    }

    /// The user, if it is the one who may.
    async fn login<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        rest: &str,
    ) -> std::io::Result<Option<String>> {
        let decoded = |text: &str| String::from_utf8_lossy(&STANDARD.decode(text).unwrap()).into_owned();
        let (mechanism, first) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some((user, password, wanted)) = self.manner.login.filter(|login| login.2 == mechanism) else {
            return Ok(None);
        };
        let given = if wanted == "PLAIN" {
            decoded(first).splitn(3, '\0').skip(1).map(str::to_owned).collect::<Vec<_>>()
        } else {
            let mut given = Vec::new();
            for question in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                self.say(stream, question).await?;
                given.push(decoded(&self.line(stream).await?));
            }
            given
        };
        Ok((given == [user, password]).then(|| user.to_owned()))
    }
}
