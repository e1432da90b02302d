// Numbers and times as text. Power is always kW and energy always kWh, so that rows compare at a glance.
import { currentLanguage } from "./words.js";

const THIN_SPACE = "\u202f"; // narrow and non-breaking: a number is never cut at a line's end
const MINUS = "\u2212";
export const NOTHING = "–";
const ZONE = "Europe/Warsaw";
const formats = new Map();

// Intl objects are dear to make and the page formats hundreds of figures a second.
function format(kind, options) {
  const language = currentLanguage() === "pl" ? "pl-PL" : "en-GB";
  const key = `${language} ${kind}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language, { timeZone: ZONE, ...options }));
  return formats.get(key);
}

export function formatNumber(value, decimals = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return NOTHING;
  const [whole, fraction] = Math.abs(value).toFixed(decimals).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
  const point = currentLanguage() === "pl" ? "," : ".";
  const digits = fraction ? `${grouped}${point}${fraction}` : grouped;
  // What rounds to zero has no sign.
  return value < 0 && /[1-9]/.test(digits) ? MINUS + digits : digits;
}

// W or Wh as thousands, with the precision that its size deserves.
export function formatKilo(value) {
  if (value === null || value === undefined) return NOTHING;
  return formatNumber(value / 1000, Math.abs(value) < 999_950 ? 1 : 0);
}

export function formatShare(fraction, decimals = 0) {
  if (fraction === null || fraction === undefined) return NOTHING;
  const share = `${formatNumber(fraction * 100, decimals)}`;
  return currentLanguage() === "pl" ? `${share}${THIN_SPACE}%` : `${share}%`;
}

// Nearly all is not all: 99.96 % must not read as 100 %.
export function formatHeard(fraction) {
  if (fraction === null || fraction === undefined) return NOTHING;
  return fraction > 0.9 && fraction < 1 ? formatShare(Math.min(fraction, 0.999), 1) : formatShare(fraction);
}

export function formatAge(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 100) return `${whole}${THIN_SPACE}s`;
  if (whole < 100 * 60) return `${Math.floor(whole / 60)}${THIN_SPACE}min`;
  if (whole < 100 * 3600) return `${Math.floor(whole / 3600)}${THIN_SPACE}h`;
  return `${formatNumber(Math.floor(whole / 86400))}${THIN_SPACE}d`;
}

export function formatMinutes(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function formatClock(epochSeconds, withSeconds = false) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (withSeconds) options.second = "2-digit";
  return format(withSeconds ? "seconds" : "clock", options).format(epochSeconds * 1000);
}

export function formatDay(epochSeconds) {
  return format("day", { day: "numeric", month: "short" }).format(epochSeconds * 1000);
}

// "7 June 2016, 13:15 CEST": the label tells the zone, and which of the two hours in the autumn night it is.
export function formatMoment(epochSeconds) {
  const day = format("date", { day: "numeric", month: "long", year: "numeric" }).format(epochSeconds * 1000);
  return `${day}, ${formatClock(epochSeconds)} ${zoneLabel(epochSeconds)}`;
}

export function zoneLabel(epochSeconds) {
  const parts = format("label", { hour: "2-digit", timeZoneName: "short" }).formatToParts(epochSeconds * 1000);
  return parts.find((part) => part.type === "timeZoneName").value;
}

export function secondsOf(instant) {
  return instant === null || instant === undefined ? null : Date.parse(instant) / 1000;
}
