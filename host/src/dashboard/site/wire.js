// The stream from the run: comes again by itself when it breaks, and says when there is no word any more.

// The run tells something each second, or that it is alive every 15; a tunnel that died tells nothing.
const SILENCE_MS = 35_000;
const AGAIN_MIN_MS = 1_000;
const AGAIN_MAX_MS = 15_000;

// `told`: by event, what is done with its data. `linked`: called with "live", "lost" or "shut out".
export function follow(told, linked) {
  let source = null;
  let heard = Date.now();
  let wait = AGAIN_MIN_MS;
  let timer = null;
  let isOver = false;

  function connect() {
    timer = null;
    source = new EventSource("/events");
    source.addEventListener("open", () => hear());
    for (const [name, take] of Object.entries(told)) {
      source.addEventListener(name, (event) => {
        hear();
        take(JSON.parse(event.data));
      });
    }
    source.addEventListener("alive", hear);
    source.addEventListener("error", () => !isOver && lose());
  }

  function hear() {
    heard = Date.now();
    wait = AGAIN_MIN_MS;
    linked("live");
  }

  async function lose() {
    source.close();
    if (timer) return;
    timer = setTimeout(connect, wait);
    wait = Math.min(wait * 2, AGAIN_MAX_MS);
    linked("lost");
    // A run whose streams are all taken still tells how it stands; another run at the same address has another secret.
    const answer = await fetch("/data").catch(() => null);
    if (isOver) return;
    if (answer?.status === 401) {
      clearTimeout(timer);
      linked("shut out");
    } else if (answer?.ok) {
      const data = await answer.json();
      linked("live");
      told.history({ after_ms: 0, points: data.history });
      told.view(data);
    }
  }

  setInterval(() => {
    if (!isOver && !timer && Date.now() - heard > SILENCE_MS) lose();
  }, 5_000);
  connect();
  return {
    close() {
      isOver = true;
      source.close();
    },
  };
}
