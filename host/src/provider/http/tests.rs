//! The promises about keys, headers and addresses.

use super::*;
use crate::clock::SimulatedClock;
use crate::provider::{KeySource, Protocol, over_http};

fn settings(base_url: &str) -> HttpSettings {
    HttpSettings {
        name: "openai".to_owned(),
        protocol: Protocol::OpenAi,
        base_url: base_url.to_owned(),
        key: KeySource::None,
        headers: Vec::new(),
        proxy: None,
        ca_file: None,
        connect_timeout: Duration::from_secs(1),
        idempotency_header: None,
    }
}

fn made(settings: HttpSettings) -> Result<HttpProvider, ProviderSettingsError> {
    over_http(settings, Arc::new(SimulatedClock::default()))
}

fn key(secret: &str) -> KeySource {
    KeySource::Command(["printf", "%s", secret].map(str::to_owned).to_vec())
}

fn client(base_url: &str, secret: &str) -> Result<HttpProvider, ProviderSettingsError> {
    made(HttpSettings { key: key(secret), ..settings(base_url) })
}

#[test]
fn addresses_are_taken_with_and_without_a_slash_and_with_a_query() {
    for (base_url, url, shown) in [
        ("http://h/v1", "http://h/v1/chat/completions", "openai at http://h/v1"),
        ("http://h/v1/", "http://h/v1/chat/completions", "openai at http://h/v1"),
        ("http://h", "http://h/chat/completions", "openai at http://h"),
        ("https://h/x?api-version=1", "https://h/x/chat/completions?api-version=1", "openai at https://h/x"),
    ] {
        let client = client(base_url, "k").unwrap();
        let address = client.dialect.address(&client.base, "m");
        assert_eq!((address.as_str(), client.describe().as_str()), (url, shown));
    }
}

#[test]
fn addresses_that_cannot_work_or_hold_a_secret_are_refused() {
    for base_url in ["", "h/v1", "ftp://h", "http://h/v1/chat/completions"] {
        assert!(client(base_url, "k").is_err(), "{base_url}");
    }
    let error = client("http://user:hunter2@h/v1", "k").unwrap_err().to_string();
    assert!(!error.contains("hunter2") && error.contains("API key"), "{error}");
}

fn read_by(client: &HttpProvider, status: u16, body: &[u8]) -> ProviderError {
    let received = Received { status, headers: HeaderMap::new(), body: body.into() };
    client.read(&received, &client.keys.current(), "m").unwrap_err()
}

#[test]
fn the_key_shows_neither_in_debug_nor_in_errors() {
    let client = client("http://h/v1", "sk-secret-1").unwrap();
    assert!(!format!("{client:?} {:?}", client.keys).contains("secret"));
    let echo = br#"{"error":{"message":"wrong key sk-secret-1","code":"sk-secret-1"}}"#;
    let error = read_by(&client, 401, echo);
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert_eq!(error.message, "status 401: wrong key [key]; check the API key");
}

#[test]
fn a_key_that_is_no_header_is_refused_without_being_shown() {
    for key in ["sk-secret\nx", "sk secret", "sk-sécret", ""] {
        let error = client("http://h/v1", key).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk"), "{error}");
    }
}

#[test]
fn headers_of_the_operator_are_sent_and_do_not_show() {
    let headers =
        vec![("X-Tenant".to_owned(), "a-secret-of-sixteen".to_owned()), ("Accept".to_owned(), "x/y".to_owned())];
    let client = made(HttpSettings { headers, key: key("sk-1"), ..settings("http://h/v1") }).unwrap();
    let sent = client.headers_with(&client.keys.current()).unwrap();
    assert_eq!([&sent["x-tenant"], &sent["accept"]], ["a-secret-of-sixteen", "x/y"]);
    assert_eq!(&sent["authorization"], "Bearer sk-1");
    assert!(!format!("{sent:?} {client:?}").contains("secret") && !format!("{sent:?}").contains("sk-1"));
    let body = br#"{"error":{"message":"no tenant a-secret-of-sixteen"}}"#;
    let error = read_by(&client, 400, body);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[test]
fn a_key_for_idempotency_stands_for_the_question_and_for_what_is_sent() {
    use crate::provider::testing::{call, request};
    let plain = made(settings("http://h/v1")).unwrap();
    assert!(plain.idempotency(&call(request(vec![])), b"x").unwrap().is_empty());
    let header = Some("Idempotency-Key".to_owned());
    let client = made(HttpSettings { idempotency_header: header, ..settings("http://h/v1") }).unwrap();
    let key = |identity: u8, body: &[u8]| {
        let call = Call { identity: [identity; 32], ..call(request(vec![])) };
        client.idempotency(&call, body).unwrap()["idempotency-key"].clone()
    };
    assert_eq!(key(1, b"x"), key(1, b"x"));
    assert!(key(1, b"x") != key(2, b"x") && key(1, b"x") != key(1, b"y"));
    let bad = HttpSettings { idempotency_header: Some("a b".to_owned()), ..settings("http://h/v1") };
    assert!(made(bad).unwrap_err().to_string().contains("`a b`"));
}

#[test]
fn settings_that_cannot_work_say_so_without_their_secrets() {
    let bad = |change: &dyn Fn(&mut HttpSettings)| {
        let mut settings = settings("https://h/v1");
        change(&mut settings);
        made(settings).unwrap_err().to_string()
    };
    let header = bad(&|settings| settings.headers = vec![("x-a".to_owned(), "secret\n".to_owned())]);
    assert!(header.contains("`x-a`") && !header.contains("secret"), "{header}");
    let proxy = bad(&|settings| settings.proxy = Some("http://user:secret@[".to_owned()));
    assert!(proxy.contains("proxy") && !proxy.contains("secret"), "{proxy}");
    assert!(bad(&|settings| settings.ca_file = Some("/no/such.pem".into())).contains("/no/such.pem"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    assert!(bad(&|settings| settings.ca_file = Some(path.clone())).contains("no certificate in PEM"));
}
