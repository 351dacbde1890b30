import { badInput } from './command-error.js'
import { quote } from './names.js'

/** Bytes: names of files of most systems, which git writes references as. */
const MAX_BYTES = 244
/** Full ids of commits; git takes upper case as well. */
const COMMIT = /^[0-9a-f]{40}$/i
const SHA256 = /^[0-9a-f]{64}$/i

/** What `git check-ref-format` refuses, in its order. */
// oxlint-disable-next-line no-control-regex
const REFUSED = /(?:^|\/)\.|\.lock(?:\/|$)|\.\.|[\x00-\x20\x7f~^:?*[\\]|^\/|\/$|\/\/|\.$|@\{|^@$|^-|\p{Cs}/u

/**
 * A branch, a tag or a full commit id: every name that git takes (`git check-ref-format`), also with `refs/heads/`, `refs/tags/`,
 * `heads/` or `tags/` before it. A commit id is given in lower case.
 */
export function checkRef(field: string, ref: string): string {
  if (COMMIT.test(ref)) return ref.toLowerCase()
  if (SHA256.test(ref)) {
    throw badInput(
      field,
      `${quote(ref)} is a commit of a SHA-256 repository, which Longshore does not support`,
    )
  }
  if (ref !== '' && !REFUSED.test(ref) && Buffer.byteLength(ref) <= MAX_BYTES) return ref
  throw badInput(field, `${quote(ref)} is not a branch, a tag or a full commit id: git takes no such name`)
}

/** The branch that an app or a stage follows, as pushes name it: without `refs/heads/`. */
export function checkBranch(field: string, branch: string): string {
  return checkRef(field, checkRef(field, branch).replace(/^refs\/heads\//, ''))
}
