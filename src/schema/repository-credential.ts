import { Field, ObjectType } from 'type-graphql'
import { RepositoryCredentialKind } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('RepositoryRefs', {
  description: 'What a repository offers to deploy: at most 1,000 branches and 1,000 tags.',
})
export class RepositoryRefsType {
  @Field(() => String, {
    nullable: true,
    description: 'The default branch. Null: HEAD names no existing branch.',
  })
  defaultBranch!: string | null

  @Field(() => [String], { description: 'Branches, sorted by name after the default branch.' })
  branches!: readonly string[]

  @Field(() => [String], { description: 'Tags, highest version first.' })
  tags!: readonly string[]
}

@ObjectType('RepositoryCredential', {
  description:
    'What a private repository is fetched with. It is bound to the protocol, host and port of the repoUrl it was created for. Tokens and private keys never leave the server.',
})
export class RepositoryCredentialType {
  @Field(() => RepositoryCredentialKind, { description: 'A token for HTTPS, or a key for SSH.' })
  kind!: RepositoryCredentialKind

  @Field(() => String, {
    nullable: true,
    description: "The user name sent with the token. Null: one that the forge's tokens work with.",
  })
  username!: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The public half of a deploy key: add it to the repository at the forge. Null for a token.',
  })
  publicKey!: string | null

  @Field(() => DateTime, { description: 'When it was created.' })
  createdAt!: Date

  @Field(() => DateTime, { description: 'When it last changed.' })
  updatedAt!: Date
}
