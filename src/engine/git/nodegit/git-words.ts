import { Fatal } from './command.js'

type Words = (url: string, ...found: string[]) => Fatal

const unable = (url: string, why: string) => new Fatal(`unable to access '${url}': ${why}`)
const noAccess = ['Please make sure you have the correct access rights and the repository exists.']

/** What libgit2 says, and what git, curl and ssh say of the same: whoever reads it knows one table of words. */
const WORDS: readonly [said: RegExp, words: Words][] = [
  [/http status code: 404/, (url) => new Fatal(`repository '${url}' not found`)],
  [
    /http status code: 401|authentication required but no callback|remote authentication required/,
    (url) => new Fatal(`could not read Username for '${originOf(url)}': terminal prompts disabled`),
  ],
  [
    /unexpected authentication failure|authentication replays/,
    (url) => new Fatal(`Authentication failed for '${url}'`),
  ],
  [/http status code: (\d+)/, (url, status) => unable(url, `The requested URL returned error: ${status}`)],
  [/failed to resolve address for ([^:]+)/, (url, host) => unable(url, `Could not resolve host: ${host}`)],
  [
    /failed to connect to ([^:]+): (.*)/,
    (url, host, why) => unable(url, `Failed to connect to ${host}: ${why}`),
  ],
  [
    /SSL certificate is invalid|certificate/i,
    (url) => unable(url, 'SSL certificate problem: it is invalid, or signed by nobody who is trusted here'),
  ],
  [
    /ssh hostkey/,
    () => new Fatal('Could not read from remote repository.', ['Host key verification failed.']),
  ],
  [
    /authenticate SSH session|credentials|username does not match|Unable to extract public key/i,
    (url) =>
      new Fatal('Could not read from remote repository.', [
        `${originOf(url)}: Permission denied (publickey).`,
        ...noAccess,
      ]),
  ],
  [
    /failed to resolve path '([^']*)'|could not find repository (?:at|from) '([^']*)'|not a.* repository/i,
    (url) => new Fatal(`'${url.replace(/^file:\/\//, '')}' does not appear to be a git repository`),
  ],
]

/** The error of a remote in git's words. */
export function inGitsWords(error: Error, url: string): Error {
  if (error instanceof Fatal) return error
  for (const [said, words] of WORDS) {
    const found = said.exec(error.message)
    if (found) return words(url, ...found.slice(1))
  }
  return new Fatal(error.message)
}

/** Without the path. */
function originOf(url: string): string {
  return /^(?:https?:\/\/)?[^/:]+(?:\/\/[^/]*)?/.exec(url)?.[0] ?? url
}
