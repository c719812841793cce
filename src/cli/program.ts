/** All commands, their arguments and options; what fails becomes a line on stderr and an exit code. */
import { Command, CommanderError } from "commander";
import { NearfieldError } from "../core/errors.ts";
import { benchCommand } from "./bench.ts";
import { collectionCommands } from "./collection-commands.ts";
import { CommandFailure } from "./failure.ts";
import { evalCommand } from "./evaluate.ts";
import { exportCommand } from "./export.ts";
import { importCommand } from "./import.ts";
import { infoCommand } from "./info.ts";
import { scoreCommand } from "./score.ts";
import { searchCommand } from "./search.ts";
import type { Terminal } from "./terminal.ts";
import { packageVersion } from "./versions.ts";

/** Runs one command line and returns its exit code. Never rejects. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = new Command("nearfield")
    .description("Exact vector search: collections, batch scoring, evaluation, measuring.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .showHelpAfterError("(--help tells how)");
  const written: Promise<void>[] = [];
  const commands = [
    infoCommand(terminal),
    importCommand(terminal),
    exportCommand(terminal),
    searchCommand(terminal),
    scoreCommand(terminal),
    evalCommand(terminal),
    benchCommand(terminal),
    ...collectionCommands(terminal),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void written.push(terminal.out(text)),
      writeErr: (text) => terminal.tell(text.trimEnd()),
    });
  }
  try {
    if (args.length === 0) {
      terminal.tell(program.helpInformation().trimEnd());
      return 2;
    }
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    return exitCodeOf(error, terminal);
  } finally {
    await Promise.all(written);
  }
}

/** Codes of errors that a command line caused. */
const USAGE: ReadonlySet<string> = new Set([
  "INVALID_OPTION",
  "INVALID_DIMENSIONS",
  "INVALID_K",
  "INVALID_FILTER",
  "MODEL_MISMATCH",
]);

/** Of a disk that is full, a folder that may not be written to, and the like. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "errno" in error;
}

function exitCodeOf(error: unknown, terminal: Terminal): number {
  // It has said everything itself; help and version end with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof NearfieldError) {
    terminal.tell(`nearfield: ${error.code}: ${error.message}`);
    return USAGE.has(error.code) ? 2 : 1;
  }
  if (error instanceof CommandFailure) {
    terminal.tell(`nearfield: ${error.message}`);
    return 1;
  }
  if (isSystemError(error)) {
    terminal.tell(`nearfield: ${error.path ?? "a file"} cannot be read or written (${error.message})`);
    return 1;
  }
  // Anything else is a bug of ours, or of the machine: with all there is to say about it.
  terminal.tell(`nearfield: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return 1;
}
