import { randomBytes } from 'node:crypto'
import { BASE_IMAGE, TestRepository, webApp } from '../test/support/repository.js'

export type Size = 'small' | 'large'

const LARGE_FILES = 2_000
const LARGE_FILE_BYTES = 11_000
const FILES_PER_FOLDER = 20

/**
 * A new repository whose content is like no other's, so that no layer of it is in any cache. The page is in the last
 * layer: a change of it leaves the others as they are. `.dockerignore` names `.git`, as a careful user's does, for
 * without it the command line would send the repository's history to the engine.
 */
export function createRepository(size: Size, page: string): TestRepository {
  const files = size === 'small' ? webApp(page, [`: ${unique()}`]) : largeApp(page)
  const repository = new TestRepository({ ...files, '.dockerignore': '.git\n' })
  repository.git('repack', '-a', '-d', '-q') // as a host keeps it
  return repository
}

/** 2,000 files of random text in 100 folders, 22 MB in all. */
function largeApp(page: string): Record<string, string> {
  const files: Record<string, string> = {}
  for (let file = 0; file < LARGE_FILES; file++) {
    const path = `data/${Math.floor(file / FILES_PER_FOLDER)}/${file}.txt`
    files[path] = randomBytes((LARGE_FILE_BYTES * 3) / 4).toString('base64')
  }
  const count = ['/bin/busybox', 'sh', '-c', `busybox find /data -type f | busybox wc -l; : ${unique()}`]
  const dockerfile = [
    `FROM ${BASE_IMAGE}`,
    'COPY data /data',
    `RUN ${JSON.stringify(count)}`,
    'COPY www /www',
    'EXPOSE 8080',
    'CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]',
    '',
  ].join('\n')
  return { ...files, 'www/index.html': page, Dockerfile: dockerfile }
}

/** A page's text, or a name, that was never there before. Begins with a letter. */
export function unique(): string {
  return `b${randomBytes(8).toString('hex')}`
}
