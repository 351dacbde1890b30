/*
 * What an engine says in messages only. Each list has a row for every form that engines from 20.10 to 29 use;
 * `test/unit/engine-messages.test.ts` holds answers of real ones for each.
 */

/** A step's own words stand inside these and may look like them: the last number counts. */
const STEP_FAILED: readonly RegExp[] = [
  /^The command '[^]*' returned a non-zero code: (\d+)/, // the classic builder
  /^executor failed running \[[^]*\]: exit code: (\d+)/, // BuildKit in 20.10
  /(?:^|: )process "[^]*" did not complete successfully: exit code: (\d+)/, // BuildKit from 23 on
]

const PAUSED: readonly RegExp[] = [/\bcannot start a paused container\b/]

const NETWORK_MISSING: readonly RegExp[] = [
  /\bnetwork (\S+) not found/,
  /\bnetwork (\S+) is ambiguous/, // two of one name, which engines from 25 on do not make any more
]

const REMOVAL_UNDER_WAY: readonly RegExp[] = [
  /\bremoval of container \S+ is already in progress/, // 409, of a removal
  /\bcontainer is marked for removal\b/, // 500, of an update
  /\bCannot update container \S+: no such container\b/i, // 500, of one that went meanwhile
]

/** 500, of an update: its process has ended, and the engine has not noticed yet. */
const ENDING: readonly RegExp[] = [
  /\bcannot update a (?:stopped container|deleted process)\b/,
  /\bCannot update container \S+ runc did not terminate successfully: exit status 1: container not running\b/,
]

const CLIPPED: readonly string[] = ['[output clipped, log limit']

const NAMES_REFUSED: readonly RegExp[] = [
  /\bstring field contains invalid UTF-8/, // BuildKit in 29, of the name of a file
]

const OVERLOADED: readonly RegExp[] = [
  /\bflightcontrol: exceeded retry timeout/, // BuildKit in 20.10, of many sources on a busy machine: the next try goes well
]

/** Exit code of the step that a build failed at; null: the message is of something else. */
export function exitCodeOfStep(message: string): number | null {
  const code = found(STEP_FAILED, message)
  return code === null ? null : Number(code)
}

/** Whether a container was not started because it is paused. */
export function isPausedError(message: string): boolean {
  return PAUSED.some((form) => form.test(message))
}

/** The network for want of which, or for two of which, a container was not started; null: it was something else. */
export function missingNetwork(message: string): string | null {
  return found(NETWORK_MISSING, message)
}

/** Whether somebody else removes the container in this moment. */
export function isRemovalUnderWay(message: string): boolean {
  return REMOVAL_UNDER_WAY.some((form) => form.test(message))
}

/** Whether a container ends in this moment. */
export function isEndingError(message: string): boolean {
  return ENDING.some((form) => form.test(message))
}

/** Whether a build failed for want of time inside of the engine, and not for what is in it. */
export function isOverloadError(message: string): boolean {
  return OVERLOADED.some((form) => form.test(message))
}

/** Whether BuildKit takes a context for broken because a name in it is not UTF-8. */
export function isFileNameError(message: string): boolean {
  return NAMES_REFUSED.some((form) => form.test(message))
}

/**
 * The step that the classic builder begins: `Step 3/7`. Null: it is something else, as a program that writes alike.
 *
 * @param before the step that it was at
 */
export function classicStep(text: string, before: string | null): string | null {
  const [, name, number, total] = /^(Step (\d+)\/(\d+)) : /.exec(text) ?? []
  const next =
    before === null ? `1/${total}` : before.replace(/\d+/, (last) => `${Number(last) + 1}`).slice(5)
  return name !== undefined && next === `${number}/${total}` ? name : null
}

/** Whether the classic builder has the result of a step already. */
export function isCachedNotice(text: string): boolean {
  return text === ' ---> Using cache\n'
}

/** Whether the engine left out a part of what a build's step wrote. */
export function isClippedNotice(output: Buffer): boolean {
  return CLIPPED.some((words) => output.includes(words))
}

function found(forms: readonly RegExp[], message: string): string | null {
  for (const form of forms) {
    const [, word] = form.exec(message) ?? []
    if (word !== undefined) return word
  }
  return null
}
