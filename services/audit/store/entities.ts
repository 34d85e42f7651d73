export const ENTITIES = []
