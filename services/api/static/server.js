// Requests to the API, all relative to the page's own address and with the key when there is one.
const STORED_AS = "bilans.key";
let key = keptKey();

function keptKey() {
  try {
    return sessionStorage.getItem(STORED_AS) ?? "";
  } catch {
    return "";
  }
}

export class KeyNeeded extends Error {}

export function keepKey(given) {
  key = given;
  try {
    sessionStorage.setItem(STORED_AS, given);
  } catch {
    // Without storage the key lasts until the page is loaded again.
  }
}

export function hasKey() {
  return key !== "";
}

export async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(path, { ...options, headers, cache: "no-cache", credentials: "same-origin" });
  if (answer.status === 401 || answer.status === 403) throw new KeyNeeded(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

export async function askJson(path, options = {}) {
  return (await ask(path, options)).json();
}

// Every row of a list, page by page.
export async function askRows(path) {
  const rows = [];
  let cursor = "";
  do {
    const page = await askJson(`${path}?limit=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    rows.push(...page.rows);
    cursor = page.next ?? "";
  } while (cursor);
  return rows;
}
