drop table known_owners;
