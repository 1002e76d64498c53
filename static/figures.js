// Joined in front of page.js, in one scope with it.

// Rates, a second and over the last minute, and how long own messages take.

const rates = { in: 0, out: 0 };
const minute = { in: Array(60).fill(0), out: Array(60).fill(0) };

setInterval(() => {
  for (const way of ['in', 'out']) {
    minute[way].push(rates[way]);
    minute[way].shift();
    $(`rate-${way}`).textContent = `${number.format(rates[way])}/s`;
    rates[way] = 0;
  }
  if (!document.hidden) plot();
}, 1000);

function plot() {
  const most = { in: Math.max(...minute.in), out: Math.max(...minute.out) };
  const scale = 18 / Math.max(1, most.in, most.out);
  for (const way of ['in', 'out']) {
    const points = minute[way].map((n, i) => `${i},${(19 - n * scale).toFixed(1)}`);
    $('plot').querySelector(`.${way}`).setAttribute('points', points.join(' '));
  }
  $('plot').setAttribute('aria-label', most.in || most.out
    ? `The last minute: at most ${number.format(most.in)} received and ${number.format(most.out)} sent a second`
    : 'No messages in the last minute');
}

// A message may come back before its ack, which alone tells its mid: so while
// acks are due the mids of all that comes are kept.
const sent = new Map(); // by mid, when it was sent
const came = new Map(); // by mid, when it came
let unconfirmed = 0;
let confirmTime; // ms

function confirmed(mid, began) {
  confirmTime = performance.now() - began;
  showLatency();
  if (came.has(mid)) showLatency(came.get(mid) - began);
  else keep(sent, mid, began);
}

function returned(mid) {
  const now = performance.now();
  if (sent.has(mid)) {
    showLatency(now - sent.get(mid));
    sent.delete(mid);
  } else if (unconfirmed) {
    keep(came, mid, now);
  }
}

function keep(map, key, value) {
  map.set(key, value);
  if (map.size > bounds.own) map.delete(map.keys().next().value);
}

function showLatency(back) {
  const ms = (t) => `${number.format(t < 10 ? Number(t.toFixed(1)) : Math.round(t))} ms`;
  $('latency').textContent = back === undefined ? `confirmed in ${ms(confirmTime)}` : `back in ${ms(back)}, confirmed in ${ms(confirmTime)}`;
}
