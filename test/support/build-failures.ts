/** Recorded from Debian's 20.10.24 and from 29.4.0, with BuildKit and the classic builder. */
export interface Row {
  readonly engine: '20.10' | '29' | 'both'
  readonly builder?: 'classic'
  readonly dockerfile?: string
  readonly message: string
  readonly lastLines?: readonly string[]
  readonly advice: RegExp
}

const FRONTEND =
  'docker build failed: failed to solve with frontend dockerfile.v0: failed to create LLB definition: '
const REF = 'failed to calculate checksum of ref l365b9fa7mw6e0nnbhitcw75h::uuibbew75gb55gs56fkgvwob0: '
const WITH_SYNTAX = '# syntax=docker/dockerfile:1.3\nFROM a\n'

/** What the context, its secrets or the Dockerfile's language lacks. */
export const CONTEXT_FAILURES: Readonly<Record<string, readonly Row[]>> = {
  'a file that is not in the context': [
    {
      engine: '20.10',
      message: 'failed to compute cache key: "/a/nope.txt" not found: not found',
      advice: /^missing a\/nope\.txt$/,
    },
    {
      engine: '29',
      message: `failed to compute cache key: ${REF}"/nope": not found`,
      advice: /^missing nope$/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message:
        'COPY failed: file not found in build context or excluded by .dockerignore: stat a/: file does not exist',
      advice: /^missing a$/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message:
        'ADD failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist',
      advice: /^missing nope$/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'COPY failed: no source files were specified',
      advice: /no file of the commit fits/,
    },
  ],
  'a file outside of the context': [
    {
      engine: '20.10',
      dockerfile: 'FROM a\nCOPY ../y /x/\n',
      message: 'failed to compute cache key: "/y" not found: not found',
      advice: /only what is inside of contextPath/,
    },
    {
      engine: '29',
      dockerfile: 'FROM a\nCOPY ../y /x/\n',
      message: `failed to compute cache key: ${REF}"/y": not found`,
      advice: /only what is inside of contextPath/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'COPY failed: forbidden path outside the build context: ../y ()',
      advice: /only what is inside of contextPath/,
    },
  ],
  'a file that another stage does not have': [
    {
      engine: '20.10',
      message:
        'docker build failed: lstat /var/lib/docker/overlay2/405b/merged/nope: no such file or directory',
      advice: /COPY --from names has no "\/nope"/,
    },
    {
      engine: '29',
      message: 'docker build failed: lstat /nope: no such file or directory',
      advice: /COPY --from names has no "\/nope"/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'docker build failed: COPY failed: stat nope: file does not exist',
      advice: /COPY --from names has no "nope"/,
    },
  ],
  'a secret that the build does not get': [
    {
      engine: '20.10',
      message: 'docker build failed: secret TOK not found: not found',
      advice: /^set TOK as a variable .*buildSecret: true/,
    },
    { engine: '29', message: 'docker build failed: secret TOK: not found', advice: /^set TOK as a variable/ },
    {
      engine: '29',
      message: 'docker build failed: secret PLAIN: not found',
      advice: /^PLAIN is a variable of the stage that builds do not get/,
    },
    {
      engine: 'both',
      message: 'executor failed running [x]: exit code: 1',
      lastLines: ["cat: can't open '/run/secrets/TOK': No such file or directory"],
      advice: /^set TOK as a variable/,
    },
    {
      engine: 'both',
      message: 'executor failed running [x]: exit code: 1',
      lastLines: ["cat: can't open '/run/secrets/GIVEN': No such file or directory"],
      advice: /^$/,
    },
    {
      engine: 'both',
      message: 'docker build failed: no SSH key "" forwarded from the client',
      advice: /no SSH agent/,
    },
  ],
  'what this builder does not know': [
    {
      engine: '20.10',
      message: `${FRONTEND}dockerfile parse error line 2: Unknown flag: start-interval`,
      advice:
        /this engine does not know --start-interval: make "# syntax=docker\/dockerfile:1".*Engines before 25/,
    },
    {
      engine: '20.10',
      builder: 'classic',
      message: 'dockerfile parse error line 2: Unknown flag: start-interval',
      advice: /BUILDER=auto/,
    },
    {
      engine: '20.10',
      message: `${FRONTEND}dockerfile parse error line 2: Unknown flag: link`,
      advice: /does not know --link: make "# syntax/,
    },
    {
      engine: '20.10',
      dockerfile: WITH_SYNTAX,
      message: `${FRONTEND}dockerfile parse error line 2: Unknown flag: parents`,
      advice: /"# syntax=" line names does not know --parents/,
    },
    {
      engine: '29',
      message: 'dockerfile parse error on line 2: unknown flag: --frob (did you mean from?)',
      advice: /check the spelling of --frob/,
    },
    {
      engine: '20.10',
      message: `${FRONTEND}dockerfile parse error line 2: unexpected key 'env' in 'env=TOK'`,
      advice: /does not know the key "env"/,
    },
    {
      engine: '20.10',
      dockerfile: 'FROM a\nRUN <<EOF\necho hi\nEOF\n',
      message: `${FRONTEND}dockerfile parse error line 3: unknown instruction: ECHO`,
      advice: /here-documents/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/',
      advice: /BUILDER=auto/,
    },
    {
      engine: '29',
      builder: 'classic',
      message: 'the --network option requires BuildKit. Refer to x',
      advice: /does not know --network: set BUILDER=auto/,
    },
    {
      engine: '29',
      message: 'failed to load LLB: security.insecure is not allowed',
      advice: /without privileges/,
    },
  ],
}
