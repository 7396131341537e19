drop table usage_parts;
alter table api_keys drop column roles;
