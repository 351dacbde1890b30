import { badInput } from './command-error.js'
import { checkRepoUrl } from './names.js'

/** A user and a token, as a URL had them. */
export interface GivenToken {
  readonly username: string | null
  readonly token: string
}

export interface GivenRepository {
  /** Without what was taken out of it. */
  readonly repoUrl: string
  /** Null: the URL had none. */
  readonly token: GivenToken | null
}

/** Where a repository is reached, and by what. */
export interface RepositoryAddress {
  readonly protocol: 'https' | 'ssh'
  /** In lower case. */
  readonly host: string
  readonly port: number
}

const WITH_TOKEN = /^https:\/\/([^/@]*)@(.*)$/s

/** Whether a user or a token is to be taken out of a URL. */
export function hasToken(url: string | null | undefined): boolean {
  return WITH_TOKEN.test(url ?? '')
}

/** The URL of a repository, of which a user and a token are taken out. @throws CommandError as {@link checkRepoUrl} */
export function checkGivenRepository(field: string, url: string, allowFileRepos: boolean): GivenRepository {
  const [, userinfo, rest] = WITH_TOKEN.exec(url) ?? []
  const repoUrl = checkRepoUrl(field, userinfo === undefined ? url : `https://${rest}`, allowFileRepos)
  return { repoUrl, token: userinfo === undefined ? null : tokenIn(field, userinfo) }
}

/** `user:token`, or the token alone, as forges show either; and the way round that GitHub once had. */
function tokenIn(field: string, userinfo: string): GivenToken {
  if (/[^\x21-\x7e]/.test(userinfo)) throw badInput(field, UNESCAPED)
  const at = userinfo.indexOf(':')
  const [user, password] = at < 0 ? [userinfo, ''] : [userinfo.slice(0, at), userinfo.slice(at + 1)]
  const isUser = password !== '' && password !== 'x-oauth-basic'
  try {
    const token = checkRepositoryToken(field, decodeURIComponent(isUser ? password : user))
    return { token, username: isUser && user ? checkUsername(field, decodeURIComponent(user)) : null }
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    throw badInput(field, UNESCAPED)
  }
}

const UNESCAPED =
  'has a character in its user name or token that a URL writes as an escape, such as %20 or %25'

/** One line, as git's helpers speak of it; long enough for tokens that are JSON Web Tokens. */
export function checkRepositoryToken(field: string, token: string): string {
  if (/^[\x20-\x7e]{1,4096}$/.test(token)) return token
  throw badInput(field, 'the token must have 1 to 4096 printable ASCII characters')
}

/** HTTP's basic credentials end the user name with a colon. */
export function checkUsername(field: string, username: string): string {
  if (/^[\x21-\x39\x3b-\x7e]{1,255}$/.test(username)) return username
  throw badInput(
    field,
    'the user name must have 1 to 255 printable ASCII characters without spaces or colons',
  )
}

const ADDRESSES: readonly (readonly [RepositoryAddress['protocol'], port: number, RegExp])[] = [
  ['https', 443, /^https:\/\/([^/:@]+)(?::(\d+))?\//],
  ['ssh', 22, /^ssh:\/\/(?:[^/@]+@)?([^/:@]+)(?::(\d+))?\//],
  ['ssh', 22, /^[^/:@]+@([^/:@]+):/],
]

/** Null: it is on this machine (`file://`). */
export function addressOf(repoUrl: string): RepositoryAddress | null {
  for (const [protocol, usualPort, pattern] of ADDRESSES) {
    const [, host, port] = pattern.exec(repoUrl) ?? []
    if (host !== undefined) return { protocol, host: host.toLowerCase(), port: Number(port ?? usualPort) }
  }
  return null
}

/** What a credential is bound to: it is sent nowhere else. Null as {@link addressOf}. */
export function originOf(repoUrl: string): string | null {
  const address = addressOf(repoUrl)
  return address && `${address.protocol}://${address.host}:${address.port}`
}
