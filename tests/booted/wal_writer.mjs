// A second container of the compose project: appends the same number to two databases in WAL mode, the first always one
// step ahead of the second, as fast as it can. Usage: node wal_writer.mjs FOLDER
import { DatabaseSync } from "node:sqlite";
import { mkdirSync } from "node:fs";

const folder = process.argv[2];
mkdirSync(folder, { recursive: true, mode: 0o700 });
const databases = ["first", "second"].map((name) => {
  const database = new DatabaseSync(`${folder}/${name}.sqlite`);
  database.exec("PRAGMA journal_mode=WAL");
  database.exec("CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY)");
  return database.prepare("INSERT INTO events VALUES (?)");
});
let number = 0;
const write = () => {
  number += 1;
  for (const insert of databases) insert.run(number);
  setTimeout(write, 1);
};
write();
