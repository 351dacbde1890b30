import { Readable } from 'node:stream'
import type { BuildContext, ContextEntry } from '../../src/engine/docker/docker.js'
import { writeTar } from './fake-docker/tar.js'

/** A build context of these files; the Dockerfile is in it as well. */
export function filesContext(files: Readonly<Record<string, string>>): BuildContext {
  const entries = Object.entries(files).map(([path, text]): ContextEntry => {
    return { path, rawPath: null, kind: 'file', isExecutable: false, size: Buffer.byteLength(text), id: path }
  })
  return {
    entries,
    dockerfileEntries: entries.filter(({ path }) => path === 'Dockerfile'),
    modifiedAt: 0,
    contents: () => ({
      async *read(id) {
        yield await Promise.resolve(Buffer.from(files[id] ?? ''))
      },
      [Symbol.dispose]: () => undefined,
    }),
    tar: () => Readable.from([writeTar(files)]),
  }
}
