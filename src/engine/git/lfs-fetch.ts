import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { DeployError } from '../errors.js'
import { trustedCas } from './ca-bundle.js'
import type { LfsPointer, LfsRequest } from './git.js'
import type { Mirror } from './git-command.js'
import { hostOf, HttpsClient, outage } from './https-client.js'
import { askBatch, lfsError, lfsOutage, type LfsDownload } from './lfs-batch.js'
import { byOid, missingObjects, objectPath, PART } from './lfs-store.js'
import type { FetchLimits } from './remote-command.js'

/** Servers take so many objects in a question. */
const BATCH = 100
/** Downloads at once. */
const AT_ONCE = 4

/** A fetch of objects, of at most `maxBytes` together. */
export interface BoundedLfsFetch extends LfsRequest {
  readonly maxBytes: number
  readonly limits: FetchLimits
}

/** Fetches what a mirror lacks of the objects; under the mirror's lock. @throws as Git.fetchLfs */
export async function fetchObjects(
  mirror: Mirror,
  { maxBytes, limits, ...remote }: BoundedLfsFetch,
  signal: AbortSignal,
): Promise<void> {
  checkBytes(byOid(remote.pointers), maxBytes)
  const missing = await missingObjects(mirror.path, remote.pointers)
  if (missing.length === 0) return
  const ca = await trustedCas(mirror.settings.caBundle ?? null)
  using client = new HttpsClient({ ca, silenceMs: limits.silenceMs })
  for (let at = 0; at < missing.length; at += BATCH) {
    const downloads = await askBatch(client, { remote, pointers: missing.slice(at, at + BATCH) }, signal)
    await together(downloads, signal, (one, either) =>
      download(client, { ...one, mirror: mirror.path }, either),
    )
  }
}

function checkBytes(objects: readonly LfsPointer[], maxBytes: number): void {
  const bytes = objects.reduce((sum, { size }) => sum + size, 0)
  if (bytes <= maxBytes) return
  const largest = objects.reduce((one, other) => (other.size > one.size ? other : one))
  const mib = (size: number) => `${Math.ceil(size / 1024 / 1024)} MiB`
  const message = `the Git LFS files of the build have ${mib(bytes)}, more than ${mib(maxBytes)} (MAX_REPO_MIB); the largest is "${largest.path}" (${mib(largest.size)})`
  throw new DeployError('REPO_TOO_LARGE', message)
}

/** Some at a time. The first failure ends the others, and is thrown when they have ended. */
async function together<T>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const queue = items.toReversed()
  const one = async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) await work(item, either)
  }
  const lanes = Array.from({ length: AT_ONCE }, () => one().catch((error: unknown) => failed.abort(error)))
  await Promise.all(lanes)
  either.throwIfAborted()
}

async function download(
  client: HttpsClient,
  { pointer, url, headers, mirror }: LfsDownload & { readonly mirror: string },
  signal: AbortSignal,
): Promise<void> {
  const answer = await client.send({ method: 'GET', url, headers }, signal)
  const { statusCode = 0 } = answer
  if (statusCode !== 200) {
    answer.resume()
    const why = `${hostOf(url)} answers HTTP ${statusCode}`
    if (statusCode === 429 || statusCode >= 500) throw lfsOutage([pointer], why)
    throw lfsError([pointer], why)
  }
  const path = objectPath(mirror, pointer.oid)
  try {
    await pipeline(answer, verified(pointer), createWriteStream(`${path}${PART}`), { signal })
    await rename(`${path}${PART}`, path)
  } catch (error) {
    await rm(`${path}${PART}`, { force: true })
    signal.throwIfAborted()
    throw error instanceof DeployError || isOfDisk(error) ? error : outage(url, error as Error)
  }
}

function isOfDisk(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** Passes on what has the pointer's size and hash, and no byte more. */
function verified(pointer: LfsPointer): (body: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  return async function* (body) {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const piece of body) {
      bytes += piece.length
      if (bytes > pointer.size) break
      hash.update(piece)
      yield piece
    }
    if (bytes !== pointer.size) {
      throw lfsError([pointer], `the LFS server sends another size than its pointer's ${pointer.size} bytes`)
    }
    if (hash.digest('hex') !== pointer.oid) {
      throw lfsError([pointer], 'what the LFS server sends is not what its pointer names (SHA-256)')
    }
  }
}
