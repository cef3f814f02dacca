//! Ends that nobody planned: `kill -9` at any moment and between any two writes, power that fails, a second process.

mod full;
mod points;
mod power;
mod random;
mod second;
mod workload;

/// From `name` in the environment.
fn setting(name: &str, otherwise: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => otherwise,
    }
}

/// Shown where a test fails, and with `--nocapture`.
#[expect(clippy::print_stdout, reason = "of tests")]
fn say(text: &str) {
    println!("{text}");
}

/// For everything that is drawn; said, so that it can be drawn again.
pub(crate) fn seeded() -> rand_chacha::ChaCha8Rng {
    let seed = setting("SANDMILL_TEST_SEED", 1);
    say(&format!("SANDMILL_TEST_SEED={seed}"));
    <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(seed as u64)
}

/// Kills in all; `None`: the bounded part.
fn soak() -> Option<usize> {
    Some(setting("SANDMILL_TEST_KILLS", 0)).filter(|kills| *kills > 0)
}
