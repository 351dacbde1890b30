import { Readable } from 'node:stream'
import { filterContext } from '../docker/build-context.js'
import type { BuildContext, ContextEntry, Contents } from '../docker/docker.js'
import { tarHeader, tarPadding } from '../docker/tar-entry.js'
import { LFS_ID, type Source } from '../git/git.js'
import type { BuildPlan } from './plan-build.js'

const IGNORE_FILE = '.dockerignore'

/** What a build is made of: files of a commit, straight from the mirror, and those that are written for it. */
export function contextOf(source: Source, contextPath: string, plan: BuildPlan): BuildContext {
  const written = new Map<string, Buffer>()
  const entries = [...plan.written].map(([path, text]): ContextEntry => {
    const id = `written ${path}`
    written.set(id, Buffer.from(text))
    return { path, rawPath: null, kind: 'file', isExecutable: false, size: Buffer.byteLength(text), id }
  })
  return {
    entries: [...plan.sent.values()],
    dockerfileEntries: plan.dockerfile ? [plan.dockerfile] : entries,
    modifiedAt: source.committedAt,
    contents: (signal) => withWritten(source.contents(signal), written),
    tar: (signal) => tarOf(source, { contextPath, plan }, signal),
  }
}

/** For the classic builder. Objects of Git LFS are in front, and their pointers left out of what follows. */
function tarOf(
  source: Source,
  { contextPath, plan }: { readonly contextPath: string; readonly plan: BuildPlan },
  signal: AbortSignal,
): Readable {
  const { keeps, before } = forClassic(plan)
  const entries = [...plan.sent.values(), ...(plan.dockerfile ? [plan.dockerfile] : [])]
  const objects = new Map(
    entries
      .filter(({ id, path }) => id.startsWith(LFS_ID) && keeps(path))
      .map((entry) => [entry.path, entry]),
  )
  const rest = () => {
    const archive = source.archive(contextPath, signal)
    const context = filterContext((path) => keeps(path) && !objects.has(path), before)
    archive.on('error', (error) => context.destroy(error))
    context.once('close', () => archive.destroy())
    return archive.pipe(context)
  }
  if (objects.size === 0) return rest()
  return Readable.from(withObjects(source, [...objects.values()], { rest, signal }), { objectMode: false })
}

async function* withObjects(
  source: Source,
  objects: readonly ContextEntry[],
  { rest, signal }: { readonly rest: () => Readable; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  using contents = source.contents(signal)
  for (const { path, rawPath, size, isExecutable, id } of objects) {
    yield tarHeader({ path: rawPath ?? path, size, isExecutable, modifiedAt: source.committedAt })
    yield* contents.read(id)
    yield tarPadding(size)
  }
  yield* rest() as AsyncIterable<Buffer>
}

function withWritten(contents: Contents, written: ReadonlyMap<string, Buffer>): Contents {
  return {
    async *read(id) {
      const own = written.get(id)
      if (own) yield own
      else yield* contents.read(id)
    },
    [Symbol.dispose]: () => contents[Symbol.dispose](),
  }
}

/**
 * The classic builder needs the Dockerfile in the tar, and takes it out of the image where a `.dockerignore` in the tar
 * names it. The repository's own does where it is what was read; for that of a Dockerfile, which this builder does not
 * know, one is written.
 */
function forClassic({ sent, dockerfile, written, ignoreFile }: BuildPlan): {
  keeps: (path: string) => boolean
  before: ReadonlyMap<string, string>
} {
  const path = dockerfile?.path
  const hides = path !== undefined && !sent.has(path) && ignoreFile !== IGNORE_FILE
  const isSent = (one: string) =>
    one === IGNORE_FILE ? ignoreFile === IGNORE_FILE || (!hides && sent.has(one)) : sent.has(one)
  const names = [IGNORE_FILE, path ?? ''].map((one) => `/${one.replace(/[*?[\]\\]/g, '\\$&')}\n`)
  return {
    keeps: (one) => one === path || isSent(one),
    before: hides ? new Map([...written, [IGNORE_FILE, names.join('')]]) : written,
  }
}
