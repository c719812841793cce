/** A command that did its work and found what it was to find: exit code 1, one line, no stack. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
}
