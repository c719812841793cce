#!/usr/bin/env node
/** The command line: `nearfield <command>`. Exit codes: 0 done, 1 it failed, 2 it was asked for wrongly. */
import { run } from "./program.ts";
import { processTerminal } from "./terminal.ts";

process.exitCode = await run(process.argv.slice(2), processTerminal());
