// Text with the bot's entities as DOM nodes. Everything from outside becomes text nodes or checked attributes, never
// markup, so nothing a bot sends can run here.

const ELEMENTS = {
  bold: 'strong', italic: 'em', underline: 'u', strikethrough: 's', code: 'code', pre: 'pre',
  blockquote: 'blockquote', expandable_blockquote: 'blockquote', spoiler: 'span', bot_command: 'button',
  text_link: 'a', url: 'a',
};

/** The link if it leads to the web, else null: no javascript:, no data:. */
function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}

function element(entity, text, onCommand) {
  const node = document.createElement(ELEMENTS[entity.type] || 'span');
  if (entity.type === 'text_link' || entity.type === 'url') {
    const address = webAddress(entity.url || text);
    if (!address) return document.createElement('span');
    node.href = address;
    node.target = '_blank';
    node.rel = 'noopener noreferrer';
    node.title = address;
  } else if (entity.type === 'spoiler') {
    node.className = 'spoiler';
    node.tabIndex = 0;
    node.setAttribute('role', 'button');
    node.setAttribute('aria-label', 'Hidden text, press to show');
    const show = () => { node.classList.add('shown'); node.removeAttribute('aria-label'); };
    node.addEventListener('click', show);
    node.addEventListener('keydown', (event) => { if (event.key === 'Enter') show(); });
  } else if (entity.type === 'bot_command') {
    node.type = 'button';
    node.className = 'command';
    node.addEventListener('click', () => onCommand(text));
  } else if (entity.type === 'pre' && entity.language) {
    node.dataset.language = entity.language;
  }
  return node;
}

/**
 * Appends `text` to `parent`. Entity offsets and lengths count UTF-16 code units, as JavaScript's strings do; entities
 * may nest (the longer first), which is all that Telegram allows.
 */
export function render(parent, text, entities, onCommand) {
  const sorted = [...(entities || [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
  let next = 0;
  const fill = (into, from, to) => {
    let at = from;
    while (next < sorted.length && sorted[next].offset < to) {
      const entity = sorted[next];
      next += 1;
      const begin = Math.max(entity.offset, at);
      const end = Math.min(entity.offset + entity.length, to);
      if (end <= begin) continue;
      into.append(text.slice(at, begin));
      const node = element(entity, text.slice(begin, end), onCommand);
      fill(node, begin, end);
      into.append(node);
      at = end;
    }
    into.append(text.slice(at, to));
  };
  fill(parent, 0, text.length);
}
