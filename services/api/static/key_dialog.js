// Asks for the access key when the API demands one.
import { byId, setHidden } from "./elements.js";
import { hasKey, keepKey } from "./server.js";

export function onKeyGiven(then) {
  const dialog = byId("key-dialog");
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    keepKey(byId("key").value.trim());
    byId("key").value = "";
    dialog.close();
    then();
  });
}

export function askForKey() {
  const dialog = byId("key-dialog");
  if (dialog.open) return;
  setHidden(byId("key-refused"), !hasKey());
  dialog.showModal();
}
