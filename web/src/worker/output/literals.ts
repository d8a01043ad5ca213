// The members of a JSON object as they are written: a number keeps all its digits.

/** The text of each value, by name; of an object that is well formed. */
export function literalsOf (text: string): Map<string, string> {
  const found = new Map<string, string>();
  let at = skip(text, text.indexOf('{') + 1);
  while (at < text.length && text[at] === '"') {
    const nameEnd = endOfString(text, at);
    const name = text.slice(at, nameEnd);
    const start = skip(text, skip(text, nameEnd) + 1);
    const end = endOfValue(text, start);
    found.set(name.includes('\\') ? JSON.parse(name) : name.slice(1, -1), text.slice(start, end));
    at = skip(text, end);
    if (text[at] !== ',') break;
    at = skip(text, at + 1);
  }
  return found;
}

function endOfValue (text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const c = text[at];
    if (c === '"') {
      at = endOfString(text, at) - 1;
      if (depth === 0) return at + 1;
    } else if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (c === ',' || c <= ' ')) return at;
  }
  return text.length;
}

function endOfString (text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function skip (text: string, at: number): number {
  while (at < text.length && text[at] <= ' ') at++;
  return at;
}
