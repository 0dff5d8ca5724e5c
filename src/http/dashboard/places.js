// The places of the navigation: what the bar shows and `g` leads to, and the role each needs;
// some of it will do where the service answers with what the caller may see.

import { session } from "./api.js";

const ALL = [
  { name: "home", text: "Home", href: "#/", key: "h" },
  { name: "log", text: "Log", href: "#/log", key: "l", role: "audit" },
  { name: "views", text: "Projections", href: "#/projections", key: "p", role: "read", some: true },
  { name: "replay", text: "Replays", href: "#/replays", key: "r", role: "admin" },
  { name: "parked", text: "Parked", href: "#/parked", key: "k", role: "admin" },
];

export const places = () =>
  ALL.filter(({ role, some }) => !role || (some ? session.canSome(role) : session.can(role)));

export function placeOf(path) {
  if (path === "/" || path === "/find") return "home";
  if (path.startsWith("/projections")) return "views";
  if (path.startsWith("/replays")) return "replay";
  return path.slice(1).split("/")[0];
}
