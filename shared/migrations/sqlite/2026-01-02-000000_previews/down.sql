drop table previews;
