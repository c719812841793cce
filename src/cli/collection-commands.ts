/** Commands about a collection as a whole: verify, versions, tag, restore, compact. */
import { Command } from "commander";
import type { Collection, VerifyReport, VersionInfo } from "../collection/contract.ts";
import type { Damage } from "../storage/damage.ts";
import { wholeNumber } from "./arguments.ts";
import { CommandFailure } from "./failure.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { withCollection } from "./with-collection.ts";

interface Json {
  readonly json?: boolean;
}

export function collectionCommands(terminal: Terminal): Command[] {
  return [verify(terminal), versions(terminal), tag(terminal), restore(terminal), compact(terminal)];
}

function verify(terminal: Terminal): Command {
  return new Command("verify")
    .description("read every byte of a collection and tell what is damaged; exits 1 where something is")
    .argument("<collection>", "its folder")
    .option("--json", "print JSON")
    .action((location: string, { json }: Json) =>
      withCollection(location, { readOnly: true, backend: "cpu" }, terminal, async (collection) => {
        const report = await collection.verify();
        const { recovered } = collection;
        // What opening met counts as well: what it fell back to may be whole.
        const isOk = report.ok && recovered === undefined;
        const told = { ...report, ok: isOk, ...(recovered === undefined ? {} : { recovered }) };
        await terminal.out(json === true ? jsonLine(told) : verified(told));
        if (!report.ok) throw new CommandFailure(`${location} is damaged in ${report.damages.length} places`);
        if (!isOk) {
          throw new CommandFailure(
            `the newest of ${location} is damaged; version ${collection.version} is whole, and the next change goes on from there`,
          );
        }
      }),
    );
}

function verified({
  ok,
  files,
  bytes,
  damages,
  unused,
  recovered,
}: VerifyReport & Pick<Collection, "recovered">): string {
  const lines = damages.map((damage) => `damaged  ${placeOf(damage)}: ${damage.reason}\n`);
  if (damages.length === 0 && recovered !== undefined) lines.push(`damaged  ${recovered.reason}\n`);
  for (const name of unused) lines.push(`unused   ${name}\n`);
  lines.push(`${ok ? "whole" : "DAMAGED"}: ${files} files, ${bytes.toLocaleString("en")} bytes read\n`);
  return lines.join("");
}

function placeOf({ file, block, record, offset }: Damage): string {
  const parts = [file, block, record === undefined ? undefined : `record ${record}`, `byte ${offset}`];
  return parts.filter((part) => part !== undefined).join(", ");
}

function versions(terminal: Terminal): Command {
  return new Command("versions")
    .description("list the versions of a collection that can be opened, oldest first")
    .argument("<collection>", "its folder")
    .option("--json", "print JSON")
    .action((location: string, { json }: Json) =>
      withCollection(location, { readOnly: true, backend: "cpu" }, terminal, async (collection) => {
        const list = await collection.versions();
        await terminal.out(json === true ? jsonLine(list) : listed(list));
      }),
    );
}

function listed(list: readonly VersionInfo[]): string {
  const rows = list.map(({ version, atMs, count, tags }) => [
    String(version),
    new Date(atMs).toISOString(),
    count.toLocaleString("en"),
    tags.join(", "),
  ]);
  return table(["version", "committed", "records", "tags"], rows);
}

function tag(terminal: Terminal): Command {
  return new Command("tag")
    .description("name a version, the newest without --version-number; without a name, list the tags")
    .argument("<collection>", "its folder")
    .argument("[name]", "1 to 256 bytes; one that is there moves")
    .option("-n, --version-number <version>", "the version to name", wholeNumber)
    .option("--json", "print JSON")
    .action((location: string, name: string | undefined, options: Json & { versionNumber?: number }) =>
      withCollection(location, { readOnly: name === undefined, backend: "cpu" }, terminal, async (collection) => {
        if (name !== undefined) await collection.tag(name, options.versionNumber);
        const tags = await collection.tags();
        const rows = Object.entries(tags).map(([key, version]) => [key, String(version)]);
        await terminal.out(options.json === true ? jsonLine(tags) : table(["tag", "version"], rows));
      }),
    );
}

function restore(terminal: Terminal): Command {
  return new Command("restore")
    .description("make an older version's records the newest, as a new version")
    .argument("<collection>", "its folder")
    .argument("<version-or-tag>", "a tag, or the number of a version")
    .option("--json", "print JSON")
    .action((location: string, target: string, { json }: Json) =>
      withCollection(location, { backend: "cpu" }, terminal, async (collection) => {
        const isTag = Object.hasOwn(await collection.tags(), target);
        const version = await collection.restore(!isTag && /^\d+$/.test(target) ? Number(target) : target);
        const report = { version, records: collection.size };
        await terminal.out(json === true ? jsonLine(report) : `version ${version}: ${collection.size} records\n`);
      }),
    );
}

function compact(terminal: Terminal): Command {
  return new Command("compact")
    .description("rewrite a collection without removed rows and drop old versions that have no tag")
    .argument("<collection>", "its folder")
    .option("--keep <versions>", "newest versions to keep", wholeNumber, 10)
    .option("--json", "print JSON")
    .action((location: string, { json, keep }: Json & { keep: number }) =>
      withCollection(location, { backend: "cpu" }, terminal, async (collection) => {
        const report = await collection.compact({ keepVersions: keep });
        const { removedRows, removedVersions, bytesBefore, bytesAfter } = report;
        const text = `${removedRows} rows and ${removedVersions} versions less, ${bytesBefore.toLocaleString("en")} → ${bytesAfter.toLocaleString("en")} bytes\n`;
        await terminal.out(json === true ? jsonLine(report) : text);
      }),
    );
}

function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
