// One whole walkthrough with the TypeScript types that openapi-typescript makes of /openapi.json, and openapi-fetch.
//
//     node walkthrough.js URL TOKEN

import createClient from "openapi-fetch";
import type { components, paths } from "./netkeep.js";

type Problem = components["schemas"]["Error"];

const [url, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

function assert(holds: unknown, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

/** The body of an answer that has this status. */
function expect<T>(answer: { data?: T; error?: Problem; response: Response }, status: number): T {
  assert(answer.response.status === status, [answer.response.status, answer.error]);
  return answer.data as T;
}

function refused(answer: { error?: Problem; response: Response }, status: number, reason: Problem["error"]["reason"]) {
  assert(answer.response.status === status && answer.error?.error.reason === reason, answer.error);
}

/** What a write answers that was not only tried. */
function done<T extends object>(body: T): Exclude<T, components["schemas"]["DryRun"]> {
  assert(!("dry_run" in body), body);
  return body as Exclude<T, components["schemas"]["DryRun"]>;
}

const header = (answer: { response: Response }, name: string) => answer.response.headers.get(name) ?? "";
const since = (answer: { response: Response }) => ({ "Netkeep-Min-Position": Number(header(answer, "Netkeep-Position")) });

const policy = { zone_from: "GUEST", zone_to: "LAN", action: "drop", log: true } as const;
const tried = await client.POST("/api/v1/firewall/policies", { body: policy, params: { query: { dry_run: true } } });
const would = expect(tried, 200);
assert("dry_run" in would && would.events[0] === "zone_policy.created", would);
const set = done(expect(await client.POST("/api/v1/firewall/policies", { body: policy }), 201));
assert(set.zone_from === "GUEST" && set.action === "drop", set);

const servers = { name: "web servers", entries: ["192.0.2.10", "2001:db8::/64"] };
const address = done(expect(await client.POST("/api/v1/addresses", { body: servers }), 201));
refused(await client.POST("/api/v1/addresses", { body: servers }), 409, "NAME_TAKEN");

const made = await client.POST("/api/v1/firewall/rules", {
  body: {
    name: "to web", zone_from: "WAN", zone_to: "LAN", action: "accept", protocol: "tcp", ports: ["443"],
    destinations: [address.id],
  },
});
const rule = done(expect(made, 201));
const query = { filter: 'obj.name == "to web"' };
const listed = expect(await client.GET("/api/v1/firewall/rules", { params: { query, header: since(made) } }), 200);
assert(listed.meta.total === 1 && listed.data[0]?.id === rule.id, listed);

// Two change the rule at once; the second is told, reads again and tries again.
const path = { id: rule.id };
const change = (body: components["schemas"]["RulePatch"], etag: string) =>
  client.PATCH("/api/v1/firewall/rules/{id}", { params: { path, header: { "If-Match": etag } }, body });
const changed = await change({ enabled: false }, header(made, "ETag"));
assert(done(expect(changed, 200)).enabled === false, changed.data);
const late = await change({ log: true }, header(made, "ETag"));
refused(late, 412, "REVISION_MISMATCH");
const retried = done(expect(await change({ log: true }, header(changed, "ETag")), 200));
assert(retried.log && !retried.enabled, retried);

// What is in use stays; then both go.
const gone = { params: { path: { id: address.id } } };
refused(await client.DELETE("/api/v1/addresses/{id}", gone), 409, "RESOURCE_IN_USE");
expect(await client.DELETE("/api/v1/firewall/rules/{id}", { params: { path } }), 204);
const last = await client.DELETE("/api/v1/addresses/{id}", gone);
expect(last, 204);
const left = expect(await client.GET("/api/v1/addresses", { params: { header: since(last) } }), 200);
assert(left.data.length === 0, left);

const fleet = { name: "fleet", type: "reusable", expires_in: 3600 } as const;
const enrolling = await client.POST("/api/v1/setup-keys", { body: fleet });
const key = done(expect(enrolling, 201));
assert(key.key.startsWith("nks_") && key.state === "valid", key);

const asked = { query: "SELECT name, count(*) AS n FROM setup_keys WHERE name = $1 GROUP BY name", params: ["fleet"] };
const answer = expect(await client.POST("/api/v1/sql", { params: { header: since(enrolling) }, body: asked }), 200);
assert(typeof answer === "object" && JSON.stringify(answer.data) === '[["fleet",1]]', answer);

console.log("walked through");
