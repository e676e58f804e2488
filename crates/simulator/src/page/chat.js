import { render } from './text.js';

const at = (id) => document.getElementById(id);
const chat = at('chat');
const list = at('messages');
const text = at('text');

let person = 0;
let watching = null;
let typingEnds = 0;
/** Whether the newest message is in view. */
let stuck = true;
/** Buttons that wait for the bot's answer, by callback query. */
const pressed = new Map();

// ---- talking to the simulator -------------------------------------------------------------------------------------

async function call(path, body) {
  const response = await fetch(path, body && {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || `The simulator answered ${response.status}.`);
  return answer;
}

function complain(error) {
  const problem = at('problem');
  problem.textContent = error instanceof TypeError ? 'The simulator cannot be reached.' : error.message;
  problem.hidden = false;
  clearTimeout(complain.timer);
  complain.timer = setTimeout(() => { problem.hidden = true; }, 6000);
}

async function say(words) {
  const said = words.trim();
  if (!said) return false;
  try {
    await call('/control/telegram/updates', { user_id: person, text: said });
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

async function press(button, message, data) {
  button.classList.add('waiting');
  try {
    const { callback_query_id: id } = await call('/control/telegram/updates', {
      user_id: person, message_id: message.message_id, callback_data: data,
    });
    pressed.set(id, button);
    // A bot should answer at once; a client shows progress for a while only.
    setTimeout(() => { if (pressed.delete(id)) button.classList.remove('waiting'); }, 15000);
  } catch (error) {
    button.classList.remove('waiting');
    complain(error);
  }
}

// ---- messages -----------------------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

function nearBottom() {
  return chat.scrollHeight - chat.scrollTop - chat.clientHeight < 120;
}

function toBottom(smooth) {
  chat.scrollTo({ top: chat.scrollHeight, behavior: smooth ? 'smooth' : 'instant' });
}

function inlineKeyboard(message) {
  const rows = message.reply_markup?.inline_keyboard;
  if (!Array.isArray(rows)) return null;
  const keyboard = document.createElement('div');
  keyboard.className = 'inline';
  for (const row of rows) {
    const line = document.createElement('div');
    for (const key of row) {
      if (key.url) {
        const link = document.createElement('a');
        link.textContent = key.text;
        try {
          const url = new URL(key.url);
          if (url.protocol === 'http:' || url.protocol === 'https:') link.href = url.href;
        } catch { /* A button without an address leads nowhere. */ }
        link.target = '_blank';
        link.rel = 'noopener noreferrer';
        line.append(link);
      } else {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = key.text;
        if (key.callback_data) button.addEventListener('click', () => press(button, message, key.callback_data));
        else button.disabled = true;
        line.append(button);
      }
    }
    keyboard.append(line);
  }
  return keyboard;
}

function bubble(message) {
  const item = document.createElement('li');
  item.id = `message-${message.message_id}`;
  item.className = message.from.is_bot ? 'bot' : 'mine';
  const body = document.createElement('div');
  body.className = 'bubble';
  if (message.photo?.length) {
    const { file_id: id, width, height } = message.photo[message.photo.length - 1];
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'photo';
    button.setAttribute('aria-label', 'Show the picture large');
    const image = document.createElement('img');
    image.src = `/control/telegram/photos/${encodeURIComponent(id)}`;
    image.width = width;
    image.height = height;
    image.alt = message.caption || 'Picture from the bot';
    button.append(image);
    button.addEventListener('click', () => { at('viewer-image').src = image.src; at('viewer').showModal(); });
    body.append(button);
  }
  const words = document.createElement('div');
  words.className = 'words';
  const said = message.text ?? message.caption ?? '';
  render(words, said, message.entities ?? message.caption_entities, say);
  const time = document.createElement('time');
  const date = new Date((message.edit_date ?? message.date) * 1000);
  time.dateTime = date.toISOString();
  time.textContent = `${message.edit_date ? 'edited ' : ''}${clock.format(date)}`;
  words.append(time);
  body.append(words);
  item.append(body);
  const keyboard = inlineKeyboard(message);
  if (keyboard) item.append(keyboard);
  return item;
}

function dayOf(message) {
  return day.format(new Date(message.date * 1000));
}

function add(message) {
  const known = at(`message-${message.message_id}`);
  if (known) { known.replaceWith(bubble(message)); return; }
  const today = dayOf(message);
  if (list.dataset.day !== today) {
    const line = document.createElement('li');
    line.className = 'day';
    line.textContent = today;
    list.append(line);
    list.dataset.day = today;
  }
  list.append(bubble(message));
  at('empty').hidden = true;
  if (message.from.is_bot) {
    typingEnds = 0;
    at('typing').hidden = true;
    const markup = message.reply_markup;
    if (markup?.keyboard) keyboard(markup);
    if (markup?.remove_keyboard) keyboard(null);
  }
}

// ---- reply keyboard and commands ------------------------------------------------------------------------------------

function keyboard(markup) {
  const box = at('keyboard');
  const toggle = at('show-keyboard');
  box.replaceChildren();
  toggle.hidden = box.hidden = !markup;
  toggle.setAttribute('aria-expanded', String(Boolean(markup)));
  text.placeholder = markup?.input_field_placeholder || 'Message';
  for (const row of markup?.keyboard ?? []) {
    const line = document.createElement('div');
    for (const key of row) {
      const label = typeof key === 'string' ? key : key.text;
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      button.addEventListener('click', () => {
        say(label);
        if (markup.one_time_keyboard) show(box, toggle, false);
      });
      line.append(button);
    }
    box.append(line);
  }
}

function show(box, toggle, open) {
  const stick = nearBottom();
  box.hidden = !open;
  toggle.setAttribute('aria-expanded', String(open));
  if (stick) toBottom(false);
}

function commands(all) {
  const box = at('commands');
  const toggle = at('show-commands');
  box.replaceChildren();
  toggle.hidden = !all?.length;
  for (const { command, description } of all ?? []) {
    const button = document.createElement('button');
    button.type = 'button';
    const name = document.createElement('b');
    name.textContent = `/${command}`;
    button.append(name, description);
    button.addEventListener('click', () => { show(box, toggle, false); say(`/${command}`); });
    box.append(button);
  }
}

// ---- what the bot shows otherwise ------------------------------------------------------------------------------------

function toast(words) {
  const box = at('toast');
  box.textContent = words;
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { box.hidden = true; }, 3500);
}

function answered({ callback_query_id: id, text: words, show_alert: loud }) {
  pressed.get(id)?.classList.remove('waiting');
  pressed.delete(id);
  if (!words) return;
  if (!loud) { toast(words); return; }
  at('alert-text').textContent = words;
  if (!at('alert').open) at('alert').showModal();
}

function typing() {
  typingEnds = Date.now() + 5000;
  const stick = nearBottom();
  at('typing').hidden = false;
  if (stick) toBottom(true);
  setTimeout(() => { if (Date.now() >= typingEnds) at('typing').hidden = true; }, 5100);
}

// ---- whose chat -------------------------------------------------------------------------------------------------------

async function load() {
  const wanted = person;
  let state = { messages: [], reply_keyboard: null };
  const response = await fetch(`/control/telegram/chats/${wanted}/messages?from=all`);
  // 404: they have not spoken yet.
  if (response.ok) state = await response.json();
  else if (response.status !== 404) throw new Error(`The simulator answered ${response.status}.`);
  if (wanted !== person) return;
  list.replaceChildren();
  delete list.dataset.day;
  state.messages.forEach(add);
  keyboard(state.reply_keyboard);
  at('empty').hidden = state.messages.length > 0;
  toBottom(false);
}

function watch() {
  watching?.close();
  const source = new EventSource(`/control/telegram/events?chat_id=${person}`);
  watching = source;
  const on = (name, handle) => source.addEventListener(name, (event) => {
    if (watching === source) handle(JSON.parse(event.data));
  });
  // What was missed while there was no connection is read again.
  source.addEventListener('open', () => { load().catch(complain); overview(); });
  source.addEventListener('error', () => { if (watching === source) status('The simulator cannot be reached', 'off'); });
  on('message', (message) => {
    const stick = nearBottom() || !message.from.is_bot;
    add(message);
    if (stick) toBottom(true); else at('down').hidden = false;
  });
  on('edit', (message) => { const stick = nearBottom(); add(message); if (stick) toBottom(false); });
  on('callback_answer', answered);
  on('chat_action', typing);
  on('commands', commands);
  on('resync', () => load().catch(complain));
}

function choose(id) {
  person = id;
  history.replaceState(null, '', `?user=${id}`);
  pressed.clear();
  watch();
}

function status(words, kind) {
  const line = at('status');
  line.textContent = words;
  line.dataset.kind = kind;
}

const TAKES = {
  polling: ['online · long poll', 'on'],
  webhook: ['online · webhook', 'on'],
  nothing: ['no bot is listening', 'off'],
};

async function overview(known) {
  try {
    const state = known ?? await call('/control/telegram');
    at('bot-name').textContent = state.bot.first_name;
    const [words, kind] = TAKES[state.takes_updates_by] ?? TAKES.nothing;
    const waiting = state.takes_updates_by === 'nothing' && state.pending_updates ? ` · ${state.pending_updates} waiting` : '';
    status(words + waiting, kind);
    commands(state.commands);
    people(state.people);
  } catch {
    status('The simulator cannot be reached', 'off');
  }
}

function people(all) {
  const select = at('person');
  const known = new Set([...select.options].map((option) => option.value));
  const missing = all.filter((user) => !known.has(String(user.id)));
  if (!all.some((user) => user.id === person) && !known.has(String(person)) && person) {
    missing.push({ id: person, first_name: 'User' });
  }
  for (const user of missing) {
    const option = new Option(`${user.first_name} ${user.id}`, user.id);
    select.insertBefore(option, select.querySelector('option[value="other"]'));
  }
  if (!known.has('other')) select.append(new Option('Somebody else…', 'other'));
  if (person) select.value = String(person);
}

// ---- prices and faults --------------------------------------------------------------------------------------------------

const ORIGINS = { recorded_month: 'recorded, Jan 2022', seeded_random_walk: 'random walk' };
const number = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

async function market() {
  if (document.hidden) return;
  try {
    const state = await call('/control/market');
    const cards = state.symbols.map(({ symbol, origin, price, change_percent: change }) => {
      const card = document.createElement('div');
      const name = document.createElement('b');
      name.textContent = symbol.replace('USDT', '');
      const value = document.createElement('span');
      value.textContent = number.format(Number(price));
      const moved = document.createElement('em');
      moved.className = Number(change) < 0 ? 'fall' : 'rise';
      moved.textContent = `${Number(change) < 0 ? '' : '+'}${Number(change).toFixed(2)} %`;
      const source = document.createElement('small');
      source.textContent = ORIGINS[origin] ?? origin;
      card.append(name, value, moved, source);
      return card;
    });
    at('market').replaceChildren(...cards);
    const faults = at('faults');
    faults.hidden = !state.faults.length;
    faults.replaceChildren(...state.faults.map((fault) => {
      const chip = document.createElement('span');
      chip.textContent = `${fault.target} ${fault.kind.replaceAll('_', ' ')} · ${Math.ceil(fault.remaining_ms / 1000)} s`;
      return chip;
    }));
  } catch { /* The status line already says that the simulator is gone. */ }
}

// ---- input ----------------------------------------------------------------------------------------------------------------

function grow() {
  text.style.height = 'auto';
  text.style.height = `${Math.min(text.scrollHeight, 140)}px`;
}

async function submit() {
  const words = text.value;
  if (!(await say(words))) return;
  if (text.value === words) text.value = '';
  grow();
}

at('write').addEventListener('submit', (event) => { event.preventDefault(); submit(); });
text.addEventListener('input', grow);
text.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
});
at('start').addEventListener('click', () => say('/start'));
at('down').addEventListener('click', () => toBottom(true));
chat.addEventListener('scroll', () => { stuck = nearBottom(); if (stuck) at('down').hidden = true; }, { passive: true });
// Keyboards, faults and the window change the chat's height; whoever reads the newest message goes on reading it.
new ResizeObserver(() => { if (stuck) toBottom(false); }).observe(chat);
at('show-keyboard').addEventListener('click', (event) => show(at('keyboard'), event.currentTarget, at('keyboard').hidden));
at('show-commands').addEventListener('click', (event) => show(at('commands'), event.currentTarget, at('commands').hidden));
at('person').addEventListener('change', (event) => {
  if (event.target.value !== 'other') { choose(Number(event.target.value)); return; }
  const id = Number(prompt('Id of somebody else (a whole number above 0):', '1003'));
  if (Number.isSafeInteger(id) && id > 0) { choose(id); people([{ id, first_name: 'User' }]); }
  event.target.value = String(person);
});

// ---- begin ----------------------------------------------------------------------------------------------------------------

const asked = Number(new URLSearchParams(location.search).get('user'));
const state = await call('/control/telegram').catch(() => null);
person = Number.isSafeInteger(asked) && asked > 0 ? asked : state?.people[0]?.id ?? 1001;
await market();
choose(person);
if (state) overview(state);
setInterval(() => overview(), 3000);
setInterval(market, 1000);
