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
  const apiUrl = given.apiUrl ?? (found && defaultApi(forge, found))
  if (!apiUrl) throw badInput('apiUrl', API_URL_REQUIRED)
  return { forge, repository, apiUrl: checkApiUrl(apiUrl, allowInsecure) }
}

const API_URL_REQUIRED =
  "is required, such as https://git.example.com/api/v1: where the forge's API is does not follow from a repoUrl for SSH, which may have another host or port"

/**
 * What becomes of a status address when the app's repository changes: another repository of the same host is told from now
 * on. A token is for one host, so that of another one nothing is told until it is set again, and why.
 */
export function movedAddress(
  { repository }: Pick<StatusAddress, 'repository'>,
  { from, to }: { readonly from: string; readonly to: string },
): { readonly repository: string } | { readonly staleReason: string } {
  const [old, present] = [locationOf(from), locationOf(to)]
  const isSameHost = old !== null && present !== null && webHost(old.host) === webHost(present.host)
  if (isSameHost && [old.path, present.path].includes(repository)) return { repository: present.path }
  const why = isSameHost
    ? `statuses went to ${repository}, which is not its repository`
    : 'it is on another host'
  return { staleReason: `repoUrl was changed, and ${why}: call setCommitStatus again, or unsetCommitStatus` }
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

interface Location {
  readonly host: string
  readonly path: string
  readonly isSsh: boolean
}

/** Host and path of a repository; null where it has no host. */
function locationOf(repoUrl: string): Location | null {
  const web = /^https?:\/\/([^/]+)\/(.+)$/.exec(repoUrl)
  const match =
    web ??
    /^ssh:\/\/(?:[^@/]+@)?([^/:]+)(?::\d+)?\/(.+)$/.exec(repoUrl) ??
    /^[^@/]+@([^:/]+):\/?(.+)$/.exec(repoUrl)
  const [, host, path] = match ?? []
  if (!host || !path) return null
  return { host, path: path.replace(/\/+$/, '').replace(/\.git$/, ''), isSsh: web === null }
}

/** Forges that have a host of its own for SSH through port 443. */
const SSH_HOSTS: Readonly<Record<string, string>> = {
  'ssh.github.com': 'github.com',
  'altssh.gitlab.com': 'gitlab.com',
}
/** Their API is known, however the repository is fetched. */
const LARGE_FORGES = ['github.com', 'gitlab.com', 'codeberg.org']

function webHost(host: string): string {
  return SSH_HOSTS[host] ?? host
}

/** Null: of a host that is only known by SSH nobody knows where its API is. */
function defaultApi(forge: Forge, { host: given, isSsh }: Location): string | null {
  const host = webHost(given)
  if (isSsh && !LARGE_FORGES.includes(host)) return null
  if (forge === Forge.GITLAB) return `https://${host}/api/v4`
  if (forge === Forge.GITEA) return `https://${host}/api/v1`
  return host === 'github.com' ? 'https://api.github.com' : `https://${host}/api/v3`
}
