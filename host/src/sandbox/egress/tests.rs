//! Which requests are admitted, and what is asked then.

use super::*;
use proptest::prelude::*;

fn outlet(granted: &[&str]) -> (Outlet, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let granted = granted.iter().map(|text| text.parse().unwrap()).collect();
    let egress = Egress::new(granted, runtime.handle()).unwrap();
    (Outlet::new(Some(Arc::new(egress))), runtime)
}

fn request(method: &str, uri: &str) -> Option<http::Request<WasiBody>> {
    let body = http_body_util::Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
    http::Request::builder().method(method).uri(uri).body(body).ok()
}

fn admitted(outlet: &Outlet, uri: &str) -> Result<(String, bool), Error> {
    outlet.admit(&request("GET", uri).unwrap()).map(|it| (it.url.to_string(), it.may_be_private))
}

#[test]
fn what_was_not_granted_is_refused_whatever_it_is() {
    let (granted, _runtime) = outlet(&["api.example.com", "http://10.0.0.5:8080"]);
    let nothing = Outlet::new(None);
    for uri in [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://user@api.example.com/",
        "https://example.com/",
        "https://api.example.com.evil.org/",
        "https://127.0.0.1/",
        "http://10.0.0.5/",
        "http://10.0.0.6:8080/",
        "http://[::1]:8080/",
    ] {
        assert!(matches!(admitted(&granted, uri), Err(Error::HttpRequestDenied)), "{uri}");
        assert!(matches!(admitted(&nothing, uri), Err(Error::HttpRequestDenied)), "{uri}");
    }
    assert!(matches!(admitted(&nothing, "https://api.example.com/"), Err(Error::HttpRequestDenied)));
}

#[test]
fn the_address_that_is_asked_is_made_of_what_was_granted() {
    let (outlet, _runtime) =
        outlet(&["api.example.com", "http://10.0.0.5:8080", "intranet.corp+private", "*.example.org"]);
    let check = |uri: &str, url: &str, may_be_private| {
        assert_eq!(admitted(&outlet, uri).unwrap(), (url.to_owned(), may_be_private), "{uri}");
    };
    check("https://API.example.com/a?b=c", "https://api.example.com/a?b=c", false);
    check("https://api.example.com.:443", "https://api.example.com/", false);
    check("https://api.example.com?q", "https://api.example.com/?q", false);
    check("http://[::ffff:10.0.0.5]:8080/", "http://10.0.0.5:8080/", true);
    check("https://intranet.corp/", "https://intranet.corp/", true);
    check("https://a.example.org/", "https://a.example.org/", false);
    let tunnel = outlet.admit(&request("CONNECT", "https://api.example.com/").unwrap());
    assert!(matches!(tunnel, Err(Error::HttpRequestMethodInvalid)));
}

proptest! {
    #[test]
    fn whatever_is_admitted_goes_to_the_host_that_was_granted(
        before in "[a-z@.:/?#\\\\%\\[\\]0-9]{0,12}", after in "[a-z@.:/?#\\\\%\\[\\]0-9]{0,12}"
    ) {
        let (outlet, _runtime) = outlet(&["api.example.com"]);
        for uri in [format!("https://{before}api.example.com{after}"), format!("https://api.example.com/{before}{after}")] {
            let Some(request) = request("GET", &uri) else { continue };
            if let Ok(Admitted { url, may_be_private, .. }) = outlet.admit(&request) {
                prop_assert_eq!(url.scheme(), "https");
                prop_assert_eq!(url.host_str(), Some("api.example.com"));
                prop_assert_eq!(url.port_or_known_default(), Some(443));
                prop_assert!(url.username().is_empty() && url.password().is_none() && !may_be_private);
            }
        }
    }
}
