/** Whose webhooks are understood. Forgejo's are Gitea's. */
export enum Forge {
  GITHUB = 'GITHUB',
  GITLAB = 'GITLAB',
  GITEA = 'GITEA',
  BITBUCKET = 'BITBUCKET',
  /** Anything else, such as a post-receive hook of a bare repository. */
  GENERIC = 'GENERIC',
}
