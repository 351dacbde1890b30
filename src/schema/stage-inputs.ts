import { Field, Float, InputType, Int } from 'type-graphql'

@InputType('HealthCheckInput', {
  description:
    'Changes to a health check. Omitted fields stay as they are; null resets a field to its default.',
})
export class HealthCheckInput {
  @Field(() => String, {
    nullable: true,
    description:
      "GET this path; 200 to 399 is healthy. Null: the image's HEALTHCHECK if it has one, else TCP.",
  })
  path?: string | null

  @Field(() => Int, { description: 'Seconds between two checks.', nullable: true })
  intervalSeconds?: number | null

  @Field(() => Int, { description: 'Timeout of one check, in seconds.', nullable: true })
  timeoutSeconds?: number | null

  @Field(() => Int, {
    description: 'Seconds within which a version must become healthy.',
    nullable: true,
  })
  deadlineSeconds?: number | null

  @Field(() => Int, {
    description:
      'Seconds that a version must stay healthy before traffic moves. Null: 3 if it replaces a serving version, else 0.',
    nullable: true,
  })
  stableSeconds?: number | null
}

@InputType('LimitsInput', {
  description: 'Changes to limits. Omitted fields stay as they are; null resets a field to its default.',
})
export class LimitsInput {
  @Field(() => Float, {
    description: 'Memory in bytes. A container that uses more is killed (OUT_OF_MEMORY).',
    nullable: true,
  })
  memoryBytes?: number | null

  @Field(() => Float, { description: 'CPUs; fractions are allowed.', nullable: true })
  cpus?: number | null

  @Field(() => Int, { description: 'Maximum number of processes and threads.', nullable: true })
  pids?: number | null
}

@InputType('UpdateStageInput', {
  description: 'Changes to a stage. Omitted fields stay as they are; null resets a field to its default.',
})
export class UpdateStageInput {
  @Field(() => String, { description: "The branch it follows. Null: the app's.", nullable: true })
  branch?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'A glob such as v*: matching pushed tags are deployed instead of branches.',
  })
  tags?: string | null

  @Field(() => Int, { description: 'Number of containers.', nullable: true })
  replicas?: number | null

  @Field(() => [String], {
    nullable: true,
    description:
      "What containers run instead of the image's CMD: a program and its arguments, or arguments of the ENTRYPOINT; no shell. Null: the image's.",
  })
  command?: string[] | null

  @Field(() => Boolean, { description: 'Whether pushes deploy.', nullable: true })
  autoDeploy?: boolean | null

  @Field(() => Boolean, {
    description: 'Whether the stage stops when the branch that it follows is deleted.',
    nullable: true,
  })
  stopOnBranchDeletion?: boolean | null

  @Field(() => HealthCheckInput, {
    description: 'How new versions are checked before they serve.',
    nullable: true,
  })
  healthCheck?: HealthCheckInput | null

  @Field(() => LimitsInput, { description: 'Resource limits of each container.', nullable: true })
  limits?: LimitsInput | null
}
