import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import type { Log } from "../agent/ports.ts";

export interface LoggingOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly format: "text" | "json";
  /** Takes each line, which ends with a line break. */
  readonly write: (line: string) => void;
}

const CATEGORY = "network-dra";
const LEVELS = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;
/** The property with the message: separate text, because LogTape interprets braces. */
const TEXT = "msg";

/** Sets up logging for the process, one line per event. */
export function openLog({ level, format, write }: LoggingOptions): Log {
  const line = format === "json" ? jsonLine : textLine;
  configureSync({
    reset: true,
    sinks: { lines: (record: LogRecord) => write(line(record)) },
    loggers: [
      { category: CATEGORY, lowestLevel: LEVELS[level], sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["lines"] },
    ],
  });
  const logger = getLogger(CATEGORY);
  const at =
    (name: "debug" | "info" | "warn" | "error") =>
    (message: string, about: Record<string, unknown> = {}) =>
      logger[name](`{${TEXT}}`, { [TEXT]: message, ...about });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function jsonLine(record: LogRecord): string {
  const { [TEXT]: message, ...about } = record.properties;
  const time = new Date(record.timestamp).toISOString();
  const level = record.level === "warning" ? "warn" : record.level;
  return JSON.stringify({ time, level, msg: message ?? record.rawMessage, ...about }) + "\n";
}

function textLine(record: LogRecord): string {
  const { [TEXT]: message, ...about } = record.properties;
  const time = new Date(record.timestamp).toISOString();
  const level = (record.level === "warning" ? "warn" : record.level).toUpperCase().padEnd(5);
  const pairs = Object.entries(about).map(([key, value]) => ` ${key}=${show(value)}`);
  // A line break would look like a new event; other control characters would move the reader's cursor.
  return `${time} ${level} ${message ?? record.rawMessage}${pairs.join("")}`
    .replaceAll(/[\r\n]+/g, " ").replaceAll(/\p{Cc}/gu, escaped) + "\n";
}

function escaped(control: string): string {
  return `\\u${control.codePointAt(0)!.toString(16).padStart(4, "0")}`;
}

function show(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
