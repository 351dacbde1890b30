import { badInput } from '../command-error.js'
import { quote } from '../names.js'

/** Grammars of what a user says of a build. Each check throws `BAD_USER_INPUT` with the field and what to do. */

/** The name of a stage of a Dockerfile, or its number. */
export function checkTarget(field: string, target: string | null): string | null {
  if (target === null || /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(target)) return target
  throw badInput(field, `${quote(target)} is not the name of a stage in a Dockerfile (FROM … AS name)`)
}

/** `linux/amd64`, `linux/arm/v7`. */
export function checkPlatform(field: string, platform: string | null): string | null {
  if (platform === null || /^[a-z0-9]{1,20}\/[a-z0-9_]{1,20}(?:\/[a-z0-9]{1,20})?$/.test(platform))
    return platform
  throw badInput(field, `${quote(platform)} is not os/arch or os/arch/variant, such as linux/amd64`)
}

/** They travel in a URL, which has to stay well below the 1 MiB that the Docker engine reads. */
const MAX_ARG_BYTES = 4 * 1024
const MAX_ARGS_BYTES = 32 * 1024

export interface BuildArg {
  readonly key: string
  readonly value: string
}

/** Values of ARG instructions, by name: 4 KiB each, 32 KiB together. */
export function checkBuildArgs(field: string, args: readonly BuildArg[]): Record<string, string> {
  const checked = new Map<string, string>()
  let bytes = 0
  for (const [index, { key, value }] of args.entries()) {
    const at = `${field}[${index}]`
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(key)) {
      throw badInput(
        `${at}.key`,
        `${quote(key)} is not a valid name: letters, digits and _, not starting with a digit`,
      )
    }
    if (checked.has(key)) throw badInput(`${at}.key`, `"${key}" is given twice`)
    if (value.includes('\0')) throw badInput(`${at}.value`, `the value of ${key} contains a NUL character`)
    if (Buffer.byteLength(value) > MAX_ARG_BYTES)
      throw badInput(`${at}.value`, `the value of ${key} is over 4 KiB`)
    bytes += key.length + Buffer.byteLength(value)
    checked.set(key, value)
  }
  if (bytes > MAX_ARGS_BYTES) throw badInput(field, 'exceed 32 KiB in total')
  return Object.fromEntries(checked)
}

/** Whether a name is one that people give to secrets. */
export function looksSecret(name: string): boolean {
  return /(^|_)(PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS|PRIVATE|SIGNING)_?KEY)(_|$)/i.test(
    name,
  )
}
