import { Forge } from '../../entities/webhook-delivery.js'
import { badInput } from '../command-error.js'

const TAKING = [Forge.GITHUB, Forge.GITLAB, Forge.GITEA]

/** Where a status goes: `apiUrl` and `repository` of the forge. */
export interface StatusAddress {
  readonly forge: Forge
  readonly apiUrl: string
  readonly repository: string
}

/** Checks where statuses are to go; what is left out follows from the app's repository. */
export function checkStatusAddress(
  given: { readonly forge: Forge; readonly apiUrl?: string | null; readonly repository?: string | null },
  repoUrl: string,
  allowInsecure: boolean,
): StatusAddress {
  const { forge } = given
  if (!TAKING.includes(forge)) throw badInput('forge', `is not one of ${TAKING.join(', ')}`)
  const found = locationOf(repoUrl)
  const repository = given.repository ?? found?.path ?? ''
  const names = repository.split('/')
  const isNamed = names.every((name) => /^[A-Za-z0-9_.-]{1,100}$/.test(name) && !/^\.+$/.test(name))
  if (!isNamed || names.length < 2 || (forge !== Forge.GITLAB && names.length !== 2)) {
    throw badInput('repository', 'must be owner/name, as in the address of the repository at the forge')
  }
  const apiUrl = given.apiUrl ?? (found && defaultApi(forge, found.host))
  if (!apiUrl) throw badInput('apiUrl', "is required: it does not follow from the app's repoUrl")
  return { forge, repository, apiUrl: checkApiUrl(apiUrl, allowInsecure) }
}

/** A token goes in a header. */
export function checkToken(field: string, token: string): string {
  if (/^[\x21-\x7e]{1,500}$/.test(token)) return token
  throw badInput(field, 'must have 1 to 500 printable characters without spaces')
}

function checkApiUrl(text: string, allowInsecure: boolean): string {
  const scheme = allowInsecure ? 'https?' : 'https'
  const pattern = new RegExp(`^${scheme}://[A-Za-z0-9.\\[\\]:-]+(?:/[A-Za-z0-9._~/-]*)?$`)
  if (text.length > 500 || !pattern.test(text) || !URL.canParse(text) || /\/\.\.?(\/|$)/.test(text)) {
    const more = allowInsecure ? '' : ' (http:// only where ALLOW_INSECURE_FORGES=true)'
    throw badInput('apiUrl', `must be an address such as https://api.github.com${more}`)
  }
  return text.replace(/\/+$/, '')
}

/** Host and path of a repository; null where it has no host. */
function locationOf(repoUrl: string): { host: string; path: string } | null {
  const match =
    /^https?:\/\/([^/]+)\/(.+)$/.exec(repoUrl) ??
    /^ssh:\/\/(?:[^@/]+@)?([^/:]+)(?::\d+)?\/(.+)$/.exec(repoUrl) ??
    /^[^@/]+@([^:/]+):\/?(.+)$/.exec(repoUrl)
  const [, host, path] = match ?? []
  return host && path ? { host, path: path.replace(/\/+$/, '').replace(/\.git$/, '') } : null
}

function defaultApi(forge: Forge, host: string): string {
  if (forge === Forge.GITLAB) return `https://${host}/api/v4`
  if (forge === Forge.GITEA) return `https://${host}/api/v1`
  return host === 'github.com' ? 'https://api.github.com' : `https://${host}/api/v3`
}
