// Leaves an OAuth login as OpenClaw stored it before 2026.7: sealed with a key that lies outside of the state folder.
// Usage: node seal_auth_profile.mjs STATE_FOLDER CONFIG_FOLDER ACCESS_TOKEN
// The format is that of OpenClaw's own migration (npm openclaw@2026.9.6, `openclaw doctor --fix` reads it).
import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [stateFolder, configFolder, access] = process.argv.slice(2);
const profileId = "openai-codex:default";
const provider = "openai-codex";
const id = randomBytes(16).toString("hex");
const seed = randomBytes(32).toString("base64url");
const iv = randomBytes(12);
const key = createHash("sha256").update(`openclaw:auth-profile-oauth:${seed}`).digest();
const cipher = createCipheriv("aes-256-gcm", key, iv);
cipher.setAAD(Buffer.from(`${id}\0${profileId}\0${provider}`, "utf8"));
const ciphertext = Buffer.concat([cipher.update(JSON.stringify({ access, refresh: `${access}-refresh` })), cipher.final()]);

function put(folder, name, content) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, name), content, { mode: 0o600 });
}

put(configFolder, "auth-profile-secret-key", `${seed}\n`);
put(join(stateFolder, "credentials", "auth-profiles"), `${id}.json`, JSON.stringify({
  version: 1,
  profileId,
  provider,
  encrypted: {
    algorithm: "aes-256-gcm",
    iv: iv.toString("base64url"),
    tag: cipher.getAuthTag().toString("base64url"),
    ciphertext: ciphertext.toString("base64url"),
  },
}));
put(join(stateFolder, "agents", "main", "agent"), "auth-profiles.json", JSON.stringify({
  version: 1,
  profiles: {
    [profileId]: { type: "oauth", provider, oauthRef: { source: "openclaw-credentials", provider, id }, expires: Date.now() + 86_400_000 },
  },
}));
