export { readKlpObject } from './reader';
export { writeKlpObject } from './writer';
