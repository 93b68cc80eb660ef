// Follows the end of a file as it grows.

const EVERY = 1500; // ms between two looks
const MOST = 400000; // characters kept on the page

const log = document.getElementById("log");
const follow = document.getElementById("follow");

if (log) {
  log.scrollTop = log.scrollHeight;
  let place = Number(log.dataset.place);
  let isNew = true;

  const look = async () => {
    if (!follow.checked || document.hidden) return;
    const answer = await fetch(`${log.dataset.source}&after=${place}`);
    if (!answer.ok) return;
    const { text, place: now, running } = await answer.json();
    if (now < place) log.textContent = "";
    place = now;
    if (text) {
      const isAtEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 40;
      if (isNew && log.textContent && !log.textContent.endsWith("\n")) log.append("\n");
      isNew = false;
      log.append(text);
      if (log.textContent.length > MOST) log.textContent = log.textContent.slice(-MOST / 2);
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    }
    if (!running && !text) follow.checked = false;
  };
  setInterval(() => look().catch(() => {}), EVERY);
}
