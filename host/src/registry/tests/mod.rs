//! Against a registry on this machine, good and bad.

mod server;

use super::*;
use crate::domain::Digest;
use server::{Door, Server, Wrong, digest};
use std::time::Duration;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 a component";

struct Place {
    dir: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new(door: Door) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server: Server::start(door) }
    }

    fn registry(&self, idle: Duration, time: Duration) -> Registry {
        let settings = RegistrySettings {
            cache: self.dir.path().join("plugins"),
            insecure: Vec::new(),
            is_offline: false,
            component_bytes_max: 1000,
            idle_max: idle,
            time_max: time,
        };
        Registry::new(settings).unwrap()
    }

    fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("oci://{}/{rest}", self.server.host)).unwrap()
    }

    async fn pull(&self, rest: &str) -> Result<Pulled, RegistryError> {
        let patient = Duration::from_mins(2);
        self.registry(patient, patient).pull(&self.reference(rest)).await
    }

    #[track_caller]
    fn kept(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("plugins/sha256")).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn what_was_pulled_is_found_again_without_a_registry() {
    let place = Place::new(Door::Open);
    let manifest = place.server.push("acme/p", "1.0", COMPONENT, &[("sandmill.minisig", "s")]);
    let pulled = place.pull("acme/p:1.0").await.unwrap();
    assert_eq!((pulled.bytes.as_slice(), pulled.component), (COMPONENT, Digest::of(COMPONENT)));
    assert_eq!((pulled.manifest.to_string(), pulled.signature.as_deref()), (manifest.clone(), Some("s")));
    let asked = place.server.asked().len();
    assert_eq!(asked, 2, "a manifest and a blob");
    assert_eq!(place.pull(&format!("acme/p:1.0@{manifest}")).await.unwrap(), pulled);
    assert_eq!(place.pull(&format!("acme/p@{manifest}")).await.unwrap(), pulled);
    assert_eq!(place.server.asked().len(), asked, "nothing was asked");
    // A tag may have been moved: it is asked for, the component is not.
    assert_eq!(place.pull("acme/p:1.0").await.unwrap(), pulled);
    assert_eq!(place.server.asked().len(), asked + 1);
    std::fs::write(place.dir.path().join("plugins/sha256").join(pulled.component.hex()), "damaged").unwrap();
    assert_eq!(place.pull(&format!("acme/p@{manifest}")).await.unwrap(), pulled, "pulled again");
}

#[tokio::test]
async fn a_tag_stands_for_the_manifest_that_it_leads_to() {
    let place = Place::new(Door::Open);
    let first = place.server.push("p", "latest", COMPONENT, &[]);
    let registry = place.registry(Duration::from_mins(1), Duration::from_mins(1));
    assert_eq!(registry.resolve(&place.reference("p")).await.unwrap().to_string(), first);
    let second = place.server.push("p", "latest", b"another", &[]);
    assert_eq!(registry.resolve(&place.reference("p")).await.unwrap().to_string(), second);
}

/// Nothing but what is sound is kept.
async fn check_refused(path_end: &str, wrong: Wrong, part: &str) {
    let place = Place::new(Door::Open);
    let manifest = place.server.push("p", "1", COMPONENT, &[]);
    place.server.does_wrong(path_end, wrong.clone());
    let error = place.pull("p:1").await.unwrap_err().to_string();
    assert!(error.contains(part), "{part}: {error}");
    assert!(error.chars().all(|c| !c.is_control()), "{error:?}");
    let of_manifest = usize::from(!path_end.contains("manifests"));
    assert_eq!(place.kept(), of_manifest, "{error}");
    if of_manifest == 0 {
        place.server.does_wrong(&manifest, wrong);
        let by_digest = place.pull(&format!("p@{manifest}")).await.unwrap_err().to_string();
        assert!(by_digest.contains(&manifest[..15]), "{by_digest}");
    }
}

#[tokio::test]
async fn what_a_registry_sends_is_no_longer_than_it_may_be() {
    check_refused("manifests/1", Wrong::Endless, "the manifest is longer than 4194304 bytes").await;
    check_refused("manifests/1", Wrong::Long(1 << 40), "the manifest is longer than 4194304 bytes").await;
    let blob = digest(COMPONENT);
    check_refused(&blob, Wrong::Endless, "the component is longer than 20 bytes").await;
    check_refused(&blob, Wrong::Long(1 << 40), "the component is longer than 20 bytes").await;
    let place = Place::new(Door::Open);
    place.server.push("p", "1", &[0; 1001], &[]);
    let error = place.pull("p:1").await.unwrap_err().to_string();
    assert!(error.contains("larger than"), "{error}");
    assert_eq!(place.server.asked().len(), 1, "it is not asked for");
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused() {
    check_refused(&digest(COMPONENT), Wrong::Bytes(b"\0asm\x0d\0\x01\0 a c0mponent".to_vec()), "not sha256:").await;
    check_refused(&digest(COMPONENT), Wrong::Bytes(COMPONENT[..10].to_vec()), "not sha256:").await;
    let place = Place::new(Door::Open);
    let manifest = place.server.push("p", "1", COMPONENT, &[]);
    place.server.does_wrong(&manifest, Wrong::Bytes(b"{}".to_vec()));
    let error = place.pull(&format!("p:1@{manifest}")).await.unwrap_err().to_string();
    assert!(error.contains(&format!("not {manifest}")), "{error}");
    assert_eq!(place.kept(), 0);
    place.server.push_manifest("p", "2", br#"{"schemaVersion":2,"manifests":[]}"#);
    let error = place.pull("p:2").await.unwrap_err().to_string();
    assert!(error.contains("index"), "{error}");
}

#[tokio::test]
async fn each_failure_is_told_as_what_it_is() {
    check_refused("manifests/1", Wrong::Status(404), "does not know it: TROUBLE: says  [31mthe registry").await;
    check_refused("manifests/1", Wrong::Status(403), "docker login").await;
    check_refused("manifests/1", Wrong::Status(429), "fails with 429").await;
    check_refused("manifests/1", Wrong::Status(500), "fails with 500").await;
    check_refused("manifests/1", Wrong::Status(204), "fails with 204").await;
    check_refused(&digest(COMPONENT), Wrong::Status(404), "does not know it").await;
    let gone = Reference::parse("oci://127.0.0.1:1/p").unwrap();
    let place = Place::new(Door::Open);
    let error = place.registry(Duration::from_mins(1), Duration::from_mins(1)).pull(&gone).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_registry_that_falls_silent_or_goes_on_for_ever_is_given_up() {
    let place = Place::new(Door::Open);
    place.server.push("p", "1", COMPONENT, &[]);
    place.server.does_wrong("manifests/1", Wrong::Silent);
    let (short, long) = (Duration::from_millis(50), Duration::from_mins(2));
    for (registry, part) in
        [(place.registry(short, long), "has sent nothing"), (place.registry(long, short), "takes longer than 50ms")]
    {
        let error = registry.pull(&place.reference("p:1")).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_where_the_registry_says() {
    let place = Place::new(Door::Anonymous);
    place.server.push("acme/p", "1", COMPONENT, &[]);
    assert_eq!(place.pull("acme/p:1").await.unwrap().bytes, COMPONENT);
    let asked = place.server.asked();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| path.split('?').next().unwrap()).collect();
    let blob = format!("/v2/acme/p/blobs/{}", digest(COMPONENT));
    assert_eq!(paths, ["/v2/acme/p/manifests/1", "/token", "/v2/acme/p/manifests/1", &blob]);
    assert!(asked[1].0.contains("scope=repository%3Aacme%2Fp%3Apull"), "{}", asked[1].0);
}

#[tokio::test]
async fn who_has_no_credentials_is_told_where_they_are_kept() {
    for door in [Door::Basic, Door::Token] {
        let place = Place::new(door);
        place.server.push("p", "1", COMPONENT, &[]);
        let error = place.pull("p:1").await.unwrap_err().to_string();
        assert!(error.contains("without credentials") && error.contains("SANDMILL_REGISTRY_AUTH"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_and_takes_no_credentials_along() {
    let (place, store) = (Place::new(Door::Anonymous), Server::start(Door::Open));
    place.server.push("p", "1", COMPONENT, &[]);
    let blob = digest(COMPONENT);
    store.push("elsewhere", "1", COMPONENT, &[]);
    place.server.does_wrong(&blob, Wrong::To(format!("http://{}/elsewhere/{blob}", store.host)));
    assert_eq!(place.pull("p:1").await.unwrap().bytes, COMPONENT);
    assert_eq!(store.asked(), [(format!("/elsewhere/{blob}"), String::new())]);
}

#[tokio::test]
async fn a_redirect_leads_to_no_one_who_must_not_be_asked() {
    let blob = digest(COMPONENT);
    let way = |address: &str| Wrong::To(address.to_owned());
    check_refused(&blob, way("http://example.org/x"), "leads to http://example.org, which is not asked").await;
    check_refused(&blob, way("file:///etc/passwd"), "which is not asked").await;
    check_refused(&blob, way("https://u:p@example.org/x"), "which is not asked").await;
    check_refused(&blob, way("/v2/p/blobs/round"), "does not know it").await;
    check_refused(&blob, way(&format!("/{blob}")), "more than 5 times").await;
}
