import { randomInt } from 'node:crypto'
import { posix } from 'node:path'
import { domainToASCII } from 'node:url'
import { cutText } from './quoted-text.js'
import { badFields, badInput, type FieldError } from './command-error.js'
import { stageHost } from './addresses.js'

/** Grammars of everything a user names. Each check throws `BAD_USER_INPUT` with the field and what to do. */

const ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** 12 characters (62 bits), a letter first: fits a DNS label, a container name and an image tag. */
export function createId(): string {
  let id = ID_ALPHABET.charAt(randomInt(26))
  while (id.length < 12) id += ID_ALPHABET.charAt(randomInt(36))
  return id
}

/** Names that would shadow the hosts of Longshore itself. */
const RESERVED = ['api', 'www', 'traefik', 'admin', 'longshore', 'localhost']

export function checkAppName(field: string, name: string): string {
  if (!/^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?$/.test(name) || name.includes('--')) {
    throw badInput(
      field,
      `${quote(name)} is not a valid name: 1 to 32 characters (a-z, 0-9, single inner hyphens), starting with a letter`,
    )
  }
  if (RESERVED.includes(name)) throw badInput(field, `"${name}" is reserved; choose another`)
  return name
}

/** 1 to 20 of a-z, 0-9 and single inner hyphens, first a letter: `{stage}--{app}` fits a DNS label. */
export function checkStageName(field: string, name: string): string {
  if (/^[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?$/.test(name) && !name.includes('--')) return name
  throw badInput(
    field,
    `${quote(name)} is not a valid name: 1 to 20 characters (a-z, 0-9, single inner hyphens), starting with a letter`,
  )
}

export function checkPort(field: string, port: number | null): number | null {
  if (port === null || (Number.isInteger(port) && port >= 1 && port <= 65_535)) return port
  throw badInput(field, `${port} is not a port: 1 to 65535`)
}

const MAX_ARGUMENTS = 100
const MAX_COMMAND_BYTES = 32 * 1024

/** What containers run: arguments as they are, which no shell reads. @throws CommandError */
export function checkCommand(field: string, words: readonly string[]): string[] {
  if (words.length === 0)
    throw badInput(field, "is empty: list at least one argument, or send null for the image's own")
  if (words.length > MAX_ARGUMENTS) throw badInput(field, `has more than ${MAX_ARGUMENTS} arguments`)
  const bytes = words.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0)
  if (bytes > MAX_COMMAND_BYTES) throw badInput(field, 'is over 32 KiB')
  const at = words.findIndex((word) => word.includes('\0'))
  if (at >= 0) throw badInput(`${field}[${at}]`, 'contains a NUL character')
  return [...words]
}

/** Where a health check asks: the path and query of a URL. */
export function checkHealthPath(field: string, path: string): string {
  if (/^\/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,500}$/.test(path)) return path
  throw badInput(field, `${quote(path)} is not a path such as /health`)
}

/** By which this installation's containers and images are told from everybody else's. */
export const INSTANCE_LABEL = 'longshore.instance'

/**
 * Which claim of a deployment made a container. One of a later claim is never replaced, stopped or removed by whoever
 * held an earlier one, however late its calls come. No image has it, and a container has the labels of its image: one
 * without it is somebody else's, who runs an image of ours.
 */
export const EPOCH_LABEL = 'longshore.epoch'

/** Settings that name hosts of Longshore's own. */
interface OwnHosts {
  readonly baseDomain: string
  readonly publicUrl: string
}

/** At most 249 characters: with `www.` before it, it is a name of DNS as well. */
const DOMAIN = /^(?=.{4,249}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$/

/**
 * A host of the user's: a full domain name, in any script; gives it in lower case and ASCII (IDNA). Names of Longshore's
 * own are refused: BASE_DOMAIN and all below it, localhost and addresses, which are given out by app and stage, and
 * PUBLIC_URL's host, where the API is.
 */
export function checkDomain(field: string, host: string, own: OwnHosts): string {
  const { baseDomain } = own
  const ascii = asciiDomain(field, host)
  const isBelow = [baseDomain, 'localhost'].some((name) => ascii === name || ascii.endsWith(`.${name}`))
  if (isBelow || baseDomain.endsWith(`.${ascii}`)) {
    throw badInput(
      field,
      `${quote(ascii)} is in Longshore's own domain, whose hosts are named after apps and stages`,
    )
  }
  if ([ascii, counterpart(ascii)].includes(apiHost(own))) {
    throw badInput(field, `${quote(ascii)} would take the host of Longshore's API (PUBLIC_URL)`)
  }
  return ascii
}

/** A full domain name in lower case and ASCII, whoever's it is. */
export function asciiDomain(field: string, host: string): string {
  const ascii = /^[^\s/:@?#\\%*]{1,253}$/.test(host)
    ? domainToASCII(host.toLowerCase()).replace(/\.$/, '')
    : ''
  if (DOMAIN.test(ascii)) return ascii
  throw badInput(field, `${quote(host)} is not a domain name such as shop.example.com`)
}

/** Refuses the name of an app or a stage whose host would be that of Longshore's API. */
export function checkStageHost(appName: string, stageName: string, own: OwnHosts): void {
  const host = stageHost(appName, stageName, own.baseDomain)
  if (host !== apiHost(own)) return
  throw badInput('name', `${quote(host)} is the host of Longshore's API (PUBLIC_URL); choose another name`)
}

/** PUBLIC_URL may write it with a last dot; it is the same host. */
function apiHost({ publicUrl: url }: OwnHosts): string {
  return new URL(url).hostname.replace(/\.$/, '')
}

/** The name with `www.` and the one without it stand for each other: browsers are sent from one to the other. */
export function counterpart(host: string): string {
  return host.startsWith('www.') ? host.slice('www.'.length) : `www.${host}`
}

/** A path inside the repository, in canonical form: `./a//b/` becomes `a/b`. */
export function checkPath(field: string, path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  const outside = path.startsWith('/') || parts.includes('..')

  // oxlint-disable-next-line no-control-regex
  const malformed = path.length > 500 || /[\x00-\x1f\x7f\\:]/.test(path)
  if (outside || malformed || parts.some((part) => part.startsWith('-'))) {
    throw badInput(field, `${quote(path)} must be a relative path inside the repository, without ".."`)
  }
  return parts.join('/') || '.'
}

/**
 * The path of a Dockerfile from the context's, in canonical form; it may lead out of the context (`../Dockerfile`), and not out of
 * the repository.
 */
export function checkDockerfilePath(field: string, path: string, contextPath: string): string {
  const inRepository = posix.normalize(posix.join(contextPath, path))
  if (path.startsWith('/') || inRepository.startsWith('..')) {
    throw badInput(field, `${quote(path)} must be a relative path that stays inside the repository`)
  }
  const fromRoot = checkPath(field, inRepository)
  return posix.relative(posix.join('/', contextPath), posix.join('/', fromRoot)) || '.'
}

const HOST = '[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?'
const REPO_PATH = '[A-Za-z0-9_.~/+@%-]+'
const HTTPS = new RegExp(`^https://${HOST}(?::\\d{1,5})?/${REPO_PATH}$`)
const SSH = new RegExp(`^ssh://(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?${HOST}(?::\\d{1,5})?/${REPO_PATH}$`)
const SCP = new RegExp(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@${HOST}:(?![-/])${REPO_PATH}$`)

/** https://, ssh:// or git@host:path; file:// where the operator allows it. Gives the URL that git is called with. */
export function checkRepoUrl(field: string, url: string, allowFileRepos: boolean): string {
  // oxlint-disable-next-line no-control-regex
  if (url.length > 2048 || /[\x00-\x20\x7f]/.test(url)) {
    throw badInput(field, 'must be a URL of at most 2048 characters without spaces or control characters')
  }
  if (/^https?:\/\/[^/]*@/i.test(url) || /^ssh:\/\/[^/]*:[^/]*@/i.test(url)) {
    throw badInput(field, USERINFO)
  }
  const hasParent = url.split(/[/:]/).includes('..')
  if (!hasParent && (HTTPS.test(url) || SSH.test(url) || SCP.test(url))) return url
  if (/^file:\/\//i.test(url)) {
    if (!allowFileRepos)
      throw badInput(field, 'file:// is disabled on this server (ALLOW_FILE_REPOS=true enables it)')
    if (!hasParent && /^file:\/\/\/[A-Za-z0-9_./~+@%-]+$/.test(url)) return url
  }
  // A password with a slash in it, for one.
  const shown = /:\/\/.*@/.test(url) ? 'it' : quote(url)
  throw badInput(field, `${shown} is not https://host/path, ssh://host/path or git@host:path`)
}

const USERINFO =
  'must not carry a user name or password, except https://user:token@host/path: SSH has deploy keys for that (createDeployKey)'

/** So many of the variables that are wrong are named at once. */
const MAX_LISTED = 50
const MAX_VALUE_BYTES = 32 * 1024
const MAX_VARIABLES_BYTES = 128 * 1024

/** A variable as it comes from a user. */
export interface GivenVariable {
  readonly key: string
  readonly value: string
  /** For builds alone. Left out: as it was, and false for a new one. */
  readonly buildSecret?: boolean | null
  /** Where it stands in a text; without, it is named by its place in the list. */
  readonly line?: number
}

/** Keys of variables, and their sizes: 32 KiB each, 128 KiB together with the `otherBytes` that stay beside them. */
export function checkVariables(field: string, variables: readonly GivenVariable[], otherBytes = 0): void {
  const seen = new Set<string>()
  const refused: FieldError[] = []
  let bytes = otherBytes
  for (const [index, { key, value, line }] of variables.entries()) {
    const refuse = (part: 'key' | 'value', message: string) =>
      refused.push(
        line === undefined
          ? { field: `${field}[${index}].${part}`, message }
          : { field, message: `line ${line}: ${message}` },
      )
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(key))
      refuse('key', `${quote(key)} is not a valid name: letters, digits and _, not starting with a digit`)
    if (seen.has(key)) refuse('key', `${quote(key)} is given twice`)
    seen.add(key)
    if (value.includes('\0')) refuse('value', `the value of ${quote(key)} contains a NUL character`)
    const size = Buffer.byteLength(value)
    if (size > MAX_VALUE_BYTES) refuse('value', `the value of ${quote(key)} is over 32 KiB`)
    bytes += key.length + size
  }
  if (bytes > MAX_VARIABLES_BYTES) refused.push({ field, message: 'exceed 128 KiB in total' })
  if (refused.length > 0) throw badFields(refused.slice(0, MAX_LISTED))
}

/** What was given, for a message: cut short, so that nobody fills a log with it. */
export function quote(text: string): string {
  return JSON.stringify(cutText(text, 81))
}

/** `mvp-{app}:{deploymentId}`; the prefix is a setting. */
export function imageName(prefix: string, appName: string, deploymentId: string): string {
  return `${prefix}-${appName}:${deploymentId}`
}

/** Those of an image's names that Longshore gave it. A person may have given it others (`docker tag`), to keep. */
export function ownImageNames(prefix: string, names: readonly string[]): string[] {
  return names.filter(
    (name) =>
      name.startsWith(`${prefix}-`) && /^[a-z0-9-]+:[a-z][a-z0-9]{11}$/.test(name.slice(prefix.length + 1)),
  )
}
