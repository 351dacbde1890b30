import type { IncomingMessage } from 'node:http'
import { DeployError, OutageError } from '../errors.js'
import { oneLine } from '../quoted-text.js'
import type { LfsPointer, Remote } from './git.js'
import { hostOf, type HttpsClient, outage } from './https-client.js'
import { usernameFor } from './remote-access.js'

const MEDIA_TYPE = 'application/vnd.git-lfs+json'
/** Of an answer about 100 objects, each with a URL and headers that are signed. */
const MAX_ANSWER = 4 * 1024 * 1024

/** Where an object is. */
export interface LfsDownload {
  readonly pointer: LfsPointer
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

interface BatchObject {
  readonly oid?: string
  readonly actions?: { readonly download?: { readonly href?: string; readonly header?: object } }
  readonly error?: { readonly code?: number; readonly message?: string }
}

/**
 * Asks a repository's LFS server where objects are.
 *
 * @throws DeployError LFS_UNAVAILABLE with the path of a file whose object it does not give
 * @throws OutageError as {@link HttpsClient.send}
 */
export async function askBatch(
  client: HttpsClient,
  { remote, pointers }: { readonly remote: Remote; readonly pointers: readonly LfsPointer[] },
  signal: AbortSignal,
): Promise<LfsDownload[]> {
  const endpoint = endpointOf(remote.repoUrl, pointers)
  const authorization = authorizationOf(remote)
  const objects = pointers.map(({ oid, size }) => ({ oid, size }))
  const body = JSON.stringify({ operation: 'download', transfers: ['basic'], hash_algo: 'sha256', objects })
  const headers = { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE, ...authorization }
  const url = `${endpoint}/objects/batch`
  const answer = await client.send({ method: 'POST', url, headers, body }, signal)
  const text = await textOf(answer, url)
  if (answer.statusCode !== 200) throw refused(answer, remote, pointers)
  const answered = new Map(objectsIn(text, url).map((object) => [object.oid, object]))
  return pointers.map((pointer) => {
    const { actions, error } = answered.get(pointer.oid) ?? {}
    const { href, header = {} } = actions?.download ?? {}
    if (typeof href !== 'string' || error) throw absent(pointer, error?.message)
    const isSameOrigin = URL.canParse(href) && new URL(href).origin === new URL(endpoint).origin
    return { pointer, url: href, headers: { ...(isSameOrigin ? authorization : {}), ...lowered(header) } }
  })
}

/** As git-lfs finds it. @throws DeployError for other repositories than those by HTTPS */
function endpointOf(repoUrl: string, pointers: readonly LfsPointer[]): string {
  if (!repoUrl.startsWith('https://')) {
    const advice =
      "set the app's repoUrl to its https:// URL, and a token where it is private (setRepositoryToken)"
    throw lfsError(
      pointers,
      `Git LFS files are fetched over HTTPS only: ${advice}, commit the file itself, or exclude it with .dockerignore`,
    )
  }
  const bare = repoUrl.replace(/\/+$/, '')
  return `${bare.endsWith('.git') ? bare : `${bare}.git`}/info/lfs`
}

function authorizationOf({ repoUrl, credential }: Remote): Record<string, string> {
  if (credential?.kind !== 'TOKEN') return {}
  const { username, token } = credential
  const pair = `${username ?? usernameFor(new URL(repoUrl).hostname)}:${token}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** A server that gives `Authorization` and one that gives `authorization` mean the same. */
function lowered(headers: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
  )
}

async function textOf(answer: IncomingMessage, url: string): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      bytes += piece.length
      if (bytes > MAX_ANSWER) throw new DeployError('LFS_UNAVAILABLE', `${hostOf(url)} answers without end`)
      pieces.push(piece)
    }
  } catch (error) {
    throw error instanceof DeployError ? error : outage(url, error as Error)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function objectsIn(text: string, url: string): BatchObject[] {
  try {
    const { objects } = JSON.parse(text) as { objects?: unknown }
    if (Array.isArray(objects)) return objects.filter((one): one is BatchObject => one !== null)
  } catch {
    // As what a proxy or a sign-in page says.
  }
  throw new DeployError('LFS_UNAVAILABLE', `${hostOf(url)} does not answer as an LFS server does`)
}

function refused({ statusCode = 0 }: IncomingMessage, remote: Remote, pointers: readonly LfsPointer[]) {
  if (statusCode === 429 || statusCode >= 500) {
    return lfsOutage(pointers, `the LFS server of ${remote.repoUrl} fails (HTTP ${statusCode})`)
  }
  const isDenied = [401, 403, 404].includes(statusCode)
  const credential =
    remote.credential === null
      ? 'a private repository needs a token: setRepositoryToken'
      : 'its token may lack access to LFS'
  const why = isDenied ? `: it has no Git LFS, or ${credential}` : ''
  return lfsError(pointers, `the LFS server of ${remote.repoUrl} answers HTTP ${statusCode}${why}`)
}

/** Never what a server says of a URL, which may be signed; its own words about an object are short. */
function absent(pointer: LfsPointer, said = 'it gives no address'): DeployError {
  const advice = 'push it (git lfs push --all), or exclude the file with .dockerignore'
  return lfsError([pointer], `its object is not on the LFS server (${oneLine(said, 200)}): ${advice}`)
}

/** Names the file, and how many more there are. */
export function lfsError(pointers: readonly LfsPointer[], why: string): DeployError {
  return new DeployError('LFS_UNAVAILABLE', messageOf(pointers, why))
}

/** The same of what may be well again in a moment. */
export function lfsOutage(pointers: readonly LfsPointer[], why: string): OutageError {
  return new OutageError('LFS_UNAVAILABLE', messageOf(pointers, why))
}

function messageOf([first, ...more]: readonly LfsPointer[], why: string): string {
  const others = more.length > 0 ? ` and ${more.length} more` : ''
  return `the Git LFS file "${first?.path}"${others}: ${why}`
}
